"""PyTorch peer of `biollmnet bench screen`: each target with each partner, and the best k partners of each target.

Both sides are projected once per entity before the clock starts (RNA 1280 -> 1024 with ReLU, the partner as it is).
Timed is what is left for each pair, in batches of partners, with a running top-k of each target, by several forms:

    authors   gate and head on every pair, as the published network computes it
    folded    W1 folded into the operands: relu(A'[i] + B'[j]), then the rest of the head
    distance  a head of one hidden layer as two L1 distances (torch.cdist)

Prints one JSON object: pairs per second of each form, and of the best as `pairs_per_second`.
"""

import argparse
import json
import statistics
from collections.abc import Callable

import torch

import fusion_epoch
import gpu_timing

D_RNA, D_PARTNER = 1280, 1024
# So many numbers of relu(a + b) are made at a time: a cache holds them.
TOGETHER = 1 << 20
Scores = Callable[[int, int], torch.Tensor]


class Network:
    """A random network, the projected operands of every entity, and the folded ones."""

    def __init__(self, args: argparse.Namespace, device: torch.device, kind: torch.dtype):
        model = fusion_epoch.GatedFusion(D_RNA, D_PARTNER, args.head)
        rna, partner = torch.randn(args.targets, D_RNA), torch.randn(args.partners, D_PARTNER)
        first = model.head[0]
        gate = torch.sigmoid(model.gate)
        self.rna = torch.relu(model.project(rna))
        self.a = torch.cat([(gate * rows) @ first.weight.T for rows in partner.split(1 << 14)])
        self.b = ((1.0 - gate) * self.rna) @ first.weight.T + first.bias
        last = model.head[-1]
        self.partner, self.model = partner.to(device, kind), model.to(device, kind)
        self.rna, self.a, self.b = (table.to(device, kind) for table in (self.rna, self.a, self.b))
        # w relu(a + b) = sign(w) (|w| a + |w| b + |(|w| a + |w| b)|) / 2: two distances, and a scalar of each entity.
        weight = last.weight[0]
        self.scaled = [table * weight.abs() for table in (self.a, self.b)] if len(args.head) == 1 else []
        self.sign, self.offset = torch.sign(weight), last.bias
        self.rest = model.head[1:]

    def authors(self, start: int, end: int) -> torch.Tensor:
        """Logits of a batch of partners with each target, [targets, batch]."""
        rows = self.partner[start:end]
        return torch.stack([self.model.fused(rna, rows) for rna in self.rna])

    def folded(self, start: int, end: int) -> torch.Tensor:
        rows = self.a[start:end]
        together = max(1, TOGETHER // rows.numel())
        some = [self.rest(rows + b.unsqueeze(1)).squeeze(-1) for b in self.b.split(together)]
        return torch.cat(some)

    def distance(self, start: int, end: int) -> torch.Tensor:
        a, b = self.scaled[0][start:end], self.scaled[1]
        total = self.offset + 0.5 * ((b @ self.sign).unsqueeze(1) + a @ self.sign)
        for sign in (1.0, -1.0):
            some = self.sign == sign
            total = total + 0.5 * sign * torch.cdist(b[:, some], -a[:, some], p=1.0)
        return total


def screen(scores: Scores, args: argparse.Namespace, device: torch.device, batch: int) -> torch.Tensor:
    """The partners of the best scores, [targets, k]: batch after batch, the best so far beside each."""
    best = torch.full((args.targets, args.top_k), -torch.inf, device=device)
    found = torch.zeros((args.targets, args.top_k), device=device, dtype=torch.int64)
    for start in range(0, args.partners, batch):
        end = min(start + batch, args.partners)
        new = scores(start, end).float()
        top, at = new.topk(min(args.top_k, end - start), dim=1)
        best, kept = torch.cat([best, top], dim=1).topk(args.top_k, dim=1)
        found = torch.cat([found, at + start], dim=1).gather(1, kept)
    return found


def parse() -> argparse.Namespace:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    gpu_timing.add_device(p, "cpu")
    widths = lambda text: [int(width) for width in text.split(",")]  # noqa: E731
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--head", type=widths, default=[512, 64], help="hidden widths of the head, 512,64 or 64")
    p.add_argument("--partners", type=int, default=100_000)
    p.add_argument("--targets", type=int, default=1)
    p.add_argument("--top-k", type=int, default=100)
    p.add_argument("--batch", type=widths, help="partners of a batch; of several the fastest counts")
    p.add_argument("--forms", default="authors,folded,distance", help="of authors,folded,distance")
    p.add_argument("--variants", default="eager", help="of eager,compile; compile takes a minute for each form")
    p.add_argument("--kind", choices=["f32", "f16"], default="f32", help="of all numbers")
    p.add_argument("--warmup", type=int, default=1)
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--seed", type=int, default=0)
    args = p.parse_args()
    args.batch = args.batch or ([512, 2048, 8192] if args.device == "cpu" else [1 << 14, 1 << 17])
    for given, known in ((args.forms, {"authors", "folded", "distance"}), (args.variants, {"eager", "compile"})):
        if unknown := set(given.split(",")) - known:
            p.error(f"{', '.join(sorted(unknown))}: choose of {', '.join(sorted(known))}")
    if args.top_k > args.partners:
        p.error("--top-k is larger than --partners")
    return args


def main() -> None:
    args = parse()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    device = gpu_timing.open_device(args.device)
    kind = torch.float16 if args.kind == "f16" else torch.float32
    failed: dict[str, str] = {}
    rates: dict[str, dict] = {}
    with torch.inference_mode():
        network = Network(args, device, kind)
        forms = [form for form in args.forms.split(",") if form != "distance" or len(args.head) == 1]
        for form in forms:
            for variant in args.variants.split(","):
                scores = getattr(network, form)
                if variant == "compile":
                    scores = torch.compile(scores, dynamic=True)
                    gpu_timing.tried(lambda: scores(0, min(args.batch)), failed, f"{form} compile")  # noqa: B023
                for batch in args.batch:

                    def rate() -> float:
                        work = lambda: screen(scores, args, device, batch)  # noqa: B023, E731
                        seconds = gpu_timing.samples(work, device, args.warmup, args.runs)
                        return args.targets * args.partners / statistics.median(seconds)

                    found = gpu_timing.tried(rate, failed, f"{form} {variant} {batch}")
                    if found is not None:
                        rates.setdefault(form, {})[f"{variant} {batch}"] = found
    best = {form: max(of.values()) for form, of in rates.items()}
    result = {
        "what": f"screening, PyTorch, head {'-'.join(map(str, args.head))}-1",
        **gpu_timing.about(device),
        **{name: getattr(args, name) for name in ("kind", "threads", "partners", "targets", "top_k")},
        "pairs_per_second_by_form": rates,
        "best": best,
        "failed": failed,
        "pairs_per_second": max(best.values(), default=None),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()

"""What the peers on a GPU share: the device and its name, samples that are long enough to be timed, encoders.

`--device cpu` runs the same code without a GPU, to try a script.
"""

import argparse
import functools
import json
import statistics
import sys
import time
from collections.abc import Callable

import torch

import encoder_timing

SAMPLE = 0.02
MOST = 20_000


def add_device(p: argparse.ArgumentParser, default: str = "cuda") -> argparse.ArgumentParser:
    p.add_argument("--device", default=default, help="cuda, cuda:N, or cpu")
    return p


def open_device(name: str) -> torch.device:
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit("error: PyTorch finds no CUDA device here; --device cpu tries the script")
    return device


def about(device: torch.device) -> dict:
    """The software, the device, and what is computed in."""
    kind = "f16" if device.type == "cuda" else "f32"
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    return {"torch": torch.__version__, "device": name, "kind": kind}


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def samples(
    work: Callable[[], object], device: torch.device, warmup: int = 3, runs: int = 7, sample: float = SAMPLE
) -> list[float]:
    """Seconds of a call in each of `runs` samples; each has as many calls as take about `sample` seconds."""

    def timed(n: int) -> float:
        synchronise(device)
        started = time.perf_counter()
        for _ in range(n):
            work()
        synchronise(device)
        return time.perf_counter() - started

    n, seconds = 1, float("inf")
    for _ in range(warmup):
        seconds = timed(1)
    while seconds < sample / 2 and n < MOST:
        n = min(max(n + 1, round(n * sample / max(seconds, 1e-9))), MOST)
        seconds = timed(n)
    return [timed(n) / n for _ in range(runs)]


def tried(work: Callable[[], object], failed: dict, name: str) -> object | None:
    """The result of `work`; where it fails the reason goes into `failed`: a peer that cannot do something is told of."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - whatever a backend throws is its answer
        failed[name] = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"[:300]
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return None


# ---- Encoders ----

VARIANTS = ["eager", "sdpa", "graphs", "compile"]
# Ids, mask, and the weights of each residue in its sequence's mean.
Batch = tuple[torch.Tensor, torch.Tensor | None, torch.Tensor]


def parse_encoder(description: str, configs: list[str]) -> argparse.Namespace:
    p = add_device(encoder_timing.flags(description, configs, shape="33x510", max_tokens="16384"))
    p.add_argument("--variants", default="eager,sdpa,graphs", help=f"of {','.join(VARIANTS)}")
    p.add_argument("--latency", type=int, default=0, help="also time one sequence of so many residues")
    args = p.parse_args()
    unknown = set(args.variants.split(",")) - set(VARIANTS)
    if unknown:
        p.error(f"no variant {', '.join(sorted(unknown))}; choose of {', '.join(VARIANTS)}")
    return args


class Peer:
    """A model in one variant; a call goes from ids on the host to the means over residues on the host."""

    def __init__(self, model: torch.nn.Module, states: Callable, variant: str, device: torch.device):
        self.device, self.states, self.variant = device, states, variant
        self.model = model.to(device, torch.float16 if device.type == "cuda" else torch.float32)
        if variant == "compile":
            self.model = torch.compile(self.model, dynamic=True)
        self.graphs: dict[int, tuple] = {}
        self.pool = None

    def __call__(self, batch: Batch) -> torch.Tensor:
        ids, mask, weights = batch
        if self.variant == "graphs":
            found = self.replayed(ids, mask)
        else:
            found = self.states(self.model, self.moved(ids), self.moved(mask))
        return torch.bmm(self.moved(weights).to(found.dtype).unsqueeze(1), found).squeeze(1)

    def moved(self, host: torch.Tensor | None) -> torch.Tensor | None:
        return None if host is None else host.to(self.device, non_blocking=True)

    def replayed(self, ids: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """The states by a CUDA graph of this batch's shape, recorded when the batch comes for the first time."""
        if id(ids) not in self.graphs:
            inputs = (self.moved(ids), self.moved(mask))
            side = torch.cuda.Stream()
            with torch.cuda.stream(side):
                for _ in range(2):
                    self.states(self.model, *inputs)
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self.pool):
                output = self.states(self.model, *inputs)
            self.pool = self.pool or graph.pool()
            self.graphs[id(ids)] = (graph, inputs, output)
        graph, inputs, output = self.graphs[id(ids)]
        for target, host in zip(inputs, (ids, mask), strict=True):
            if target is not None:
                target.copy_(host, non_blocking=True)
        graph.replay()
        return output


def run_encoder(
    args: argparse.Namespace,
    what: str,
    model_of: Callable[[str], torch.nn.Module],
    states: Callable,
    letters: list[int],
    special: tuple[int, int, int],
) -> None:
    """Times each variant on padded batches sorted by length, for each --max-tokens; prints JSON."""
    device = open_device(args.device)
    failed: dict[str, str] = {}
    variants: dict[str, dict] = {}

    @functools.cache
    def model(attention: str) -> torch.nn.Module:
        with device:  # random weights of this size take a GPU no time
            return model_of(attention)

    for variant in args.variants.split(","):
        attention = "eager" if variant == "eager" else "sdpa"
        peer = tried(lambda: Peer(model(attention), states, variant, device), failed, variant)
        if peer is None:
            continue
        result = variants[variant] = {"shapes": {}}
        draw = torch.Generator().manual_seed(args.seed)
        with torch.inference_mode():
            for max_tokens in map(int, args.max_tokens.split(",")):
                for name, lengths in encoder_timing.work(args, max_tokens).items():
                    work = lambda: passes(peer, lengths, args, letters, special, draw)  # noqa: E731 - called at once
                    found = tried(work, failed, f"{variant}, {name}, {max_tokens}")
                    known = result["shapes"].get(name, {"tokens_per_second": 0.0})
                    if found and found["tokens_per_second"] > known["tokens_per_second"]:
                        result["shapes"][name] = found | {"max_tokens": max_tokens}
            if args.latency:
                work = lambda: latency(peer, args.latency, letters, special, draw)  # noqa: E731 - called at once
                result["latency_ms"] = tried(work, failed, f"{variant}, latency")
        del peer
    print(json.dumps({"what": what, **about(device), "variants": variants, "best": best(variants), "failed": failed}))


def prepared(lengths: list[int], letters: list[int], special: tuple, draw: object) -> Batch:
    """A padded batch of random sequences of so many tokens."""
    ids, mask = encoder_timing.padded(lengths, letters, special, draw)
    weights = torch.zeros(ids.shape)
    for row, n in zip(weights, lengths, strict=True):
        row[1 : n - 1] = 1.0 / max(n - 2, 1)
    return ids, mask, weights


def passes(
    peer: Peer, lengths: list[list[int]], args: argparse.Namespace, letters: list[int], special: tuple, draw: object
) -> dict:
    batches = [prepared(rows, letters, special, draw) for rows in lengths]
    peer.graphs.clear()

    def once() -> None:
        pooled = [peer(batch) for batch in batches]
        assert torch.isfinite(torch.cat(pooled).cpu()).all()

    return encoder_timing.throughput(lengths, samples(once, peer.device, args.warmup, args.runs))


def latency(peer: Peer, residues: int, letters: list[int], special: tuple, draw: object) -> float:
    """Milliseconds from ids on the host to the mean on the host, the median of single calls."""
    batch = prepared([residues + 2], letters, special, draw)
    peer.graphs.clear()
    return 1e3 * statistics.median(samples(lambda: peer(batch).cpu(), peer.device, warmup=5, runs=20, sample=0.0))


def best(variants: dict[str, dict]) -> dict[str, float]:
    """Most tokens per second of any variant, by shape."""
    found: dict[str, float] = {}
    for variant in variants.values():
        for name, shape in variant["shapes"].items():
            found[name] = max(found.get(name, 0.0), shape["tokens_per_second"])
    return found

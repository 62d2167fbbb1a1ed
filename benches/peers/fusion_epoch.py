"""PyTorch peer of `biollmnet bench fusion`: seconds per epoch of fusion training.

The network: RNA vectors [1280] projected one-sidedly to the partner's width [1024] with ReLU, a static gate
x = sigmoid(g) * partner + (1 - sigmoid(g)) * rna, a head 1024-512-64-1 with ReLU, BCE-with-logits, Adam (lr 1e-3).
The data: seeded random vectors and pairs, gathered per batch from the two tables, reshuffled each epoch, the last
short batch kept. With --folds N as many networks are trained one after the other, as a cross-validation in PyTorch
does it. Prints one JSON object.
"""

import argparse
import json
import statistics
import time

import torch
from torch import nn

import gpu_timing

VARIANTS = {
    "eager": "Adam(), as it is without flags",
    "fused": "Adam(fused=True)",
    "compile": "Adam(fused=True) and torch.compile of the network",
    "graphs": "Adam(fused=True), steps recorded as a CUDA graph",
}


class GatedFusion(nn.Module):
    """Gated fusion of a partner vector and a projected RNA vector, then a head that gives one logit."""

    def __init__(self, d_rna: int, d_partner: int, hidden: list[int], dropout: float = 0.0):
        super().__init__()
        self.project = nn.Linear(d_rna, d_partner)
        self.gate = nn.Parameter(torch.rand(d_partner))
        layers: list[nn.Module] = []
        width = d_partner
        for h in hidden:
            layers += [nn.Linear(width, h), nn.ReLU()]
            if dropout > 0.0:
                layers.append(nn.Dropout(dropout))
            width = h
        layers.append(nn.Linear(width, 1))
        self.head = nn.Sequential(*layers)

    def forward(self, rna: torch.Tensor, partner: torch.Tensor) -> torch.Tensor:
        return self.fused(torch.relu(self.project(rna)), partner)

    def fused(self, rna: torch.Tensor, partner: torch.Tensor) -> torch.Tensor:
        """The logits of projected RNA vectors and partner vectors."""
        gate = torch.sigmoid(self.gate)
        return self.head(gate * partner + (1.0 - gate) * rna).squeeze(-1)


class Data:
    """Random tables of both sides, and pairs of their rows."""

    def __init__(self, args: argparse.Namespace, device: torch.device):
        self.rna, self.partner = (torch.randn(n, d).to(device) for n, d in ((args.rnas, 1280), (args.partners, 1024)))
        self.rna_of, self.partner_of = (torch.randint(n, (args.pairs,)).to(device) for n in (args.rnas, args.partners))
        self.labels = torch.randint(2, (args.pairs,)).float().to(device)


class Training:
    """One network in training."""

    def __init__(self, data: Data, args: argparse.Namespace, variant: str, device: torch.device):
        self.data, self.batch, self.device = data, args.batch, device
        self.model = GatedFusion(1280, 1024, [512, 64], args.dropout).to(device).train()
        flags = {} if variant == "eager" else {"fused": True, "capturable": variant == "graphs"}
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=1e-3, **flags)
        self.logits = torch.compile(self.model) if variant == "compile" else self.model
        self.loss_of = nn.BCEWithLogitsLoss()
        self.graph = self.recorded() if variant == "graphs" else None

    def step(self, rows: torch.Tensor) -> torch.Tensor:
        """The loss of the batch `rows`, after which the optimiser makes its step."""
        data = self.data
        self.optimiser.zero_grad(set_to_none=True)
        logits = self.logits(data.rna[data.rna_of[rows]], data.partner[data.partner_of[rows]])
        loss = self.loss_of(logits, data.labels[rows])
        loss.backward()
        self.optimiser.step()
        return loss.detach()

    def recorded(self) -> tuple[torch.cuda.CUDAGraph, torch.Tensor, torch.Tensor]:
        """The graph of a step, the rows that it reads and the loss that it writes."""
        rows = torch.arange(self.batch, device=self.device)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.step(rows)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            loss = self.step(rows)
        return graph, rows, loss

    def epoch(self) -> float:
        """The mean loss of an epoch. A step's loss is read at once, as a loop that shows it does; not so by a graph."""
        n_pairs = len(self.data.labels)
        order = torch.randperm(n_pairs, device=self.device)
        total = torch.zeros((), device=self.device) if self.graph else 0.0
        for rows in order.split(self.batch):
            if self.graph and len(rows) == self.batch:
                graph, given, loss = self.graph
                given.copy_(rows)
                graph.replay()
            else:
                loss = self.step(rows)
            total += loss * len(rows) if self.graph else loss.item() * len(rows)
        return float(total) / n_pairs


def flags(description: str) -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--folds", type=int, default=1, help="networks, trained one after the other")
    p.add_argument("--warmup", type=int, default=2, help="epochs of each network before the timed ones")
    p.add_argument("--runs", type=int, default=10, help="timed epochs of each network")
    p.add_argument("--dropout", type=float, default=0.0, help="after every hidden layer of the head")
    p.add_argument("--pairs", type=int, default=2336)
    p.add_argument("--rnas", type=int, default=300)
    p.add_argument("--partners", type=int, default=1000)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--seed", type=int, default=0)
    return p


def measure(args: argparse.Namespace, variant: str, device: torch.device) -> dict:
    """Trains `args.folds` networks; seconds of each timed epoch, and their median."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    data = Data(args, device)
    seconds, losses, cpu_seconds = [], [], 0.0
    for _ in range(args.folds):
        training = Training(data, args, variant, device)
        for _ in range(args.warmup):
            training.epoch()
        used = time.process_time()
        for _ in range(args.runs):
            gpu_timing.synchronise(device)
            started = time.perf_counter()
            losses.append(training.epoch())
            gpu_timing.synchronise(device)
            seconds.append(time.perf_counter() - started)
        cpu_seconds += time.process_time() - used
    median = statistics.median(seconds)
    return {
        "parameters": sum(p.numel() for p in training.model.parameters()),
        "epochs": seconds,
        "losses": losses,
        "seconds_per_epoch": median,
        "seconds_per_epoch_and_run": median,
        "core_seconds_per_epoch_and_run": args.threads * median,
        "cpu_seconds_per_epoch_and_run": cpu_seconds / len(seconds),
    }


def about(args: argparse.Namespace, device: torch.device) -> dict:
    sizes = {name: getattr(args, name) for name in ("threads", "folds", "pairs", "batch", "warmup")}
    return {**gpu_timing.about(device), "kind": "f32", **sizes}


def main() -> None:
    p = gpu_timing.add_device(flags(__doc__), "cpu")
    p.add_argument("--variant", choices=list(VARIANTS), default="fused", help=str(VARIANTS))
    args = p.parse_args()
    device = gpu_timing.open_device(args.device)
    what = f"fusion training, PyTorch: {VARIANTS[args.variant]}"
    print(json.dumps({"what": what, **about(args, device), **measure(args, args.variant, device)}))


if __name__ == "__main__":
    main()

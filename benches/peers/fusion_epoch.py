"""PyTorch peer of `biollmnet bench fusion`: seconds per epoch of fusion training on the CPU.

The network: RNA vectors [1280] projected one-sidedly to the partner's width [1024] with ReLU, a static gate
x = sigmoid(g) * partner + (1 - sigmoid(g)) * rna, a head 1024-512-64-1 with ReLU, BCE-with-logits, Adam (lr 1e-3).
The data: seeded random vectors and pairs, gathered per batch from the two tables, reshuffled each epoch, the last
short batch kept. Prints one JSON object.
"""

import argparse
import json
import statistics
import time

import torch
from torch import nn


class GatedFusion(nn.Module):
    """Gated fusion of a partner vector and a projected RNA vector, then a head that gives one logit."""

    def __init__(self, d_rna: int, d_partner: int, hidden: list[int], dropout: float):
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
        rna = torch.relu(self.project(rna))
        gate = torch.sigmoid(self.gate)
        return self.head(gate * partner + (1.0 - gate) * rna).squeeze(1)


def parse() -> argparse.Namespace:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--warmup", type=int, default=2, help="epochs before the timed ones")
    p.add_argument("--runs", type=int, default=10, help="timed epochs")
    p.add_argument("--eager", action="store_true", help="Adam(fused=False) instead of Adam(fused=True)")
    p.add_argument("--dropout", type=float, default=0.0, help="after every hidden layer of the head")
    p.add_argument("--pairs", type=int, default=2336)
    p.add_argument("--rnas", type=int, default=300)
    p.add_argument("--partners", type=int, default=1000)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--seed", type=int, default=0)
    return p.parse_args()


def main() -> None:
    args = parse()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    rna_table = torch.randn(args.rnas, 1280)
    partner_table = torch.randn(args.partners, 1024)
    rna_of = torch.randint(args.rnas, (args.pairs,))
    partner_of = torch.randint(args.partners, (args.pairs,))
    labels = torch.randint(2, (args.pairs,)).float()

    model = GatedFusion(1280, 1024, [512, 64], args.dropout)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, fused=not args.eager)
    loss_of = nn.BCEWithLogitsLoss()
    model.train()

    def epoch() -> tuple[float, float]:
        started = time.perf_counter()
        order = torch.randperm(args.pairs)
        total = 0.0
        for start in range(0, args.pairs, args.batch):
            rows = order[start : start + args.batch]
            optimiser.zero_grad(set_to_none=True)
            logits = model(rna_table[rna_of[rows]], partner_table[partner_of[rows]])
            loss = loss_of(logits, labels[rows])
            loss.backward()
            optimiser.step()
            total += loss.item() * len(rows)
        return time.perf_counter() - started, total / args.pairs

    for _ in range(args.warmup):
        epoch()
    seconds, losses = zip(*(epoch() for _ in range(args.runs)), strict=True)
    print(
        json.dumps(
            {
                "what": "fusion training, PyTorch " + ("eager" if args.eager else "fused Adam"),
                "torch": torch.__version__,
                "threads": args.threads,
                "pairs": args.pairs,
                "batch": args.batch,
                "parameters": sum(p.numel() for p in model.parameters()),
                "warmup": args.warmup,
                "epochs": list(seconds),
                "losses": list(losses),
                "seconds_per_epoch": statistics.median(seconds),
            }
        )
    )


if __name__ == "__main__":
    main()

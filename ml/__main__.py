"""python -m ml train"""

from __future__ import annotations

import argparse
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m ml")
    commands = parser.add_subparsers(required=True)
    train = commands.add_parser("train")
    train.add_argument("--data", type=Path, required=True)
    train.add_argument("--isic2017", type=Path)
    train.add_argument("--negatives", type=Path)
    train.add_argument("--weights", type=Path)
    train.add_argument("--run", type=Path, required=True)
    train.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    from ml import train as training

    training.train(
        options.data,
        options.isic2017,
        options.negatives,
        options.weights,
        options.run,
        options.resume,
    )


if __name__ == "__main__":
    main()

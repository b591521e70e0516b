"""python -m ml train | pack | trial | evaluate | thresholds | degraded | several | cases | export |
repeatability | predict"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path
from typing import Any

from ml.reader import ARTIFACTS, DEFAULT_VERSION, ModelUnavailable, load, readable
from ml.training.sources import Sources


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns the exit status: 2 for unusable input."""
    options = _parser().parse_args(arguments)
    try:
        options.run_command(options)
    except (ValueError, OSError, csv.Error, ModelUnavailable) as error:
        print(f"python -m ml {options.command}: {error}", file=sys.stderr)
        return 2
    return 0


def _sources(options: argparse.Namespace) -> Sources:
    if options.data is None:
        raise ValueError("where is HAM10000? give --data, or --packed")
    return Sources(options.data, options.isic2017, options.milk10k, options.negatives)


def _train(options: argparse.Namespace) -> None:
    from ml.training.packed import unpack
    from ml.training.recipe import Recipe, read_recipe
    from ml.training.train import gather, train

    recipe = read_recipe(options.recipe) if options.recipe else Recipe()
    file = options.packed
    material = unpack(file) if file else gather(_sources(options))
    train(material, options.run, options.resume, recipe)


def _pack(options: argparse.Namespace) -> None:
    from ml.training.packed import pack
    from ml.training.train import gather

    pack(gather(_sources(options)), options.out)


def _trial(options: argparse.Namespace) -> None:
    from ml.evaluation.evaluate import trial

    trial(options.run, _sources(options))


def _evaluate(options: argparse.Namespace) -> None:
    from ml.evaluation.evaluate import evaluate

    evaluate(options.run, _sources(options))


def _thresholds(options: argparse.Namespace) -> None:
    from ml.evaluation.fit_thresholds import set_thresholds

    card = set_thresholds(options.version, _sources(options))
    print(json.dumps({key: card[key] for key in ("thresholds", "gate", "sources")}, indent=1))


def _degraded(options: argparse.Namespace) -> None:
    from ml.evaluation.degraded import degraded

    print(degraded(options.version, _sources(options)))


def _several(options: argparse.Namespace) -> None:
    from ml.evaluation.several import several

    print(several(options.version, _sources(options)))


def _cases(options: argparse.Namespace) -> None:
    from ml.evaluation.cases import make

    print(json.dumps(make(options.version, _sources(options), options.pictures), indent=1))


def _export(options: argparse.Namespace) -> None:
    from ml.training.export import export

    print(export(options.run, options.version, ARTIFACTS))


def _repeatability(options: argparse.Namespace) -> None:
    from ml.evaluation.repeatability import repeatability

    print(json.dumps(repeatability(options.data, options.version), indent=1))


def _predict(options: argparse.Namespace) -> None:
    from ml.predict import predict

    failed = predict(load(options.version), options.manifest, options.out, options.masks)
    if failed:
        print(f"{failed} rows could not be read: see the column error", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ml", description="The reader of SkinCheck.")
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="train the network into a run's folder")
    train.set_defaults(run_command=_train)
    trial = commands.add_parser(
        "trial", help="print a run's figures on the tune parts, for choices"
    )
    trial.set_defaults(run_command=_trial)
    evaluate = commands.add_parser("evaluate", help="calibrate a run and write its card.json")
    evaluate.set_defaults(run_command=_evaluate)
    pack = commands.add_parser("pack", help="write all that training reads into one small file")
    pack.set_defaults(run_command=_pack)
    pack.add_argument("--out", type=Path, required=True, help="the file to write (npz)")
    limits = commands.add_parser(
        "thresholds", help="fit a version's thresholds anew and judge it by them, into its card"
    )
    limits.set_defaults(run_command=_thresholds)
    spoilt = commands.add_parser(
        "degraded", help="what spoilt versions of the tune parts' images are still read as"
    )
    spoilt.set_defaults(run_command=_degraded)
    spots = commands.add_parser(
        "several", help="how pictures with a second spot, and with one lesion, are told"
    )
    spots.set_defaults(run_command=_several)
    similar = commands.add_parser(
        "cases", help="make the library of confirmed cases, and measure it on the tune parts"
    )
    similar.set_defaults(run_command=_cases)
    similar.add_argument(
        "--pictures", type=Path, default=Path("static/cases"), help="the folder for its pictures"
    )
    for command in (train, trial, evaluate):
        command.add_argument("--run", type=Path, required=True, help="the run's folder")
    train.add_argument("--packed", type=Path, help="what `pack` wrote, instead of the folders")
    for command in (train, pack, trial, evaluate, limits, spoilt, spots, similar):
        _add_folders(command, required=command is not train)
    train.add_argument("--recipe", type=Path, help="settings as JSON, like a run's recipe.json")
    train.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    export = commands.add_parser("export", help="copy an evaluated run to ml/artifacts")
    export.set_defaults(run_command=_export)
    export.add_argument("--run", type=Path, required=True, help="the run's folder")
    export.add_argument("--version", required=True, help="the version's name")
    repeat = _repeat_parser(commands)
    predict = commands.add_parser("predict", help="read the images that a CSV file lists")
    predict.set_defaults(run_command=_predict)
    predict.add_argument("--manifest", type=Path, required=True, help="CSV with a column image")
    predict.add_argument("--out", type=Path, required=True, help="the CSV to write")
    predict.add_argument("--masks", type=Path, help="a folder for the lesions' masks (PNG)")
    for command in (repeat, predict, limits, spoilt, spots, similar):
        command.add_argument(
            "--version",
            default=DEFAULT_VERSION,
            help=f"the model version (there: {', '.join(readable()) or 'none'})",
        )
    return parser


def _repeat_parser(commands: Any) -> argparse.ArgumentParser:
    repeat: argparse.ArgumentParser = commands.add_parser(
        "repeatability", help="measure how unchanged lesions differ, into a version's card"
    )
    repeat.set_defaults(run_command=_repeatability)
    repeat.add_argument("--data", type=Path, required=True, help="HAM10000's folder, with masks")
    return repeat


def _add_folders(command: argparse.ArgumentParser, *, required: bool) -> None:
    command.add_argument("--data", type=Path, required=required, help="HAM10000's folder")
    command.add_argument("--isic2017", type=Path, help="ISIC 2017's folder")
    command.add_argument("--milk10k", type=Path, help="MILK10k's folder")
    command.add_argument("--negatives", type=Path, help="a folder of other images")


if __name__ == "__main__":
    sys.exit(main())

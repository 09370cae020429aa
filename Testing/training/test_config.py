"""Options of a training: the command line before the file, the file before the defaults."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import pytest
from support.raised import raises

from MedADLib.cli import sweep as cli_sweep
from MedADLib.cli import train as cli_train
from MedADLib.errors import InputError
from MedADLib.training.config import CHOICES, add_choices, complete_arguments, unused_options


def given(*words, declare=add_choices) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    declare(parser)
    return complete_arguments(parser.parse_args([str(word) for word in words]))


PLACES = ("--healthy", "scans", "-o", "a.medad")


def config(folder: Path, **options) -> Path:
    file = folder / "config.json"
    file.write_text(json.dumps(options))
    return file


def test_defaults_are_those_of_the_help():
    args = given(*PLACES)
    assert (args.seed, args.device, args.subjects, args.data_note, args.extra) == (0, "auto", "auto", "", {})
    assert args.steps is None and not args.full_precision and args.healthy == Path("scans")


def test_the_command_line_wins_over_the_file(tmp_path):
    file = config(tmp_path, steps=50, seed=3, full_precision=True, output="b.medad")
    args = given("--config", file, *PLACES, "--seed", 0, "--no-full-precision")
    assert (args.steps, args.seed, args.full_precision, args.output) == (50, 0, False, Path("a.medad"))
    assert given("--config", file, *PLACES).full_precision is True


def test_paths_in_the_file_are_meant_from_the_file(tmp_path):
    file = config(tmp_path, healthy="scans", output="/models/a.medad")
    args = given("--config", file)
    assert args.healthy == tmp_path / "scans" and args.output == Path("/models/a.medad")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="TOML came with Python 3.11")
def test_toml_with_the_method_s_own_settings(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text('data-note = "CC0"\nminimum_mm = 3\n[extra]\nloss = "ssim"\nwidths = [8, 16]\n')
    args = given("--config", file, *PLACES, "--set", "widths=[4]", "--set", "beta=0.5", "--set", "kind=poisson")
    assert args.data_note == "CC0" and args.minimum_mm == 3.0 and isinstance(args.minimum_mm, float)
    assert args.extra == {"loss": "ssim", "widths": [4], "beta": 0.5, "kind": "poisson"}


@pytest.mark.parametrize(
    ("options", "code", "reported"),
    [
        ({"stepz": 5}, "misspelled_option", {"option": "stepz", "nearest": "steps"}),
        ({"prior_step": 5}, "misspelled_option", {"option": "prior_step", "nearest": "prior_steps"}),
        ({"qqqqq": 5}, "unknown_option", {"option": "qqqqq"}),
        ({"steps": "5"}, "option_of_wrong_type", {"option": "steps", "value": "'5'", "type": "integer"}),
        ({"steps": 5.5}, "option_of_wrong_type", {"option": "steps", "value": "5.5", "type": "integer"}),
        ({"steps": True}, "option_of_wrong_type", {"option": "steps", "value": "True", "type": "integer"}),
        ({"skip_bad": 1}, "option_of_wrong_type", {"option": "skip_bad", "value": "1", "type": "boolean"}),
        ({"average_mm": "x"}, "option_of_wrong_type", {"option": "average_mm", "value": "'x'", "type": "number"}),
        ({"healthy": ["a"]}, "option_of_wrong_type", {"option": "healthy", "value": "['a']", "type": "string"}),
        ({"subjects": "nobody"}, "option_not_allowed", {"value": "nobody", "allowed": "auto, folder, file"}),
        ({"extra": 5}, "extra_not_a_table", {}),
    ],
)
def test_options_that_nobody_knows_and_values_of_another_kind_are_refused(tmp_path, options, code, reported):
    file = config(tmp_path, **options)
    with pytest.raises(InputError) as caught:
        given("--config", file, *PLACES)
    assert caught.value.code == code and reported.items() <= caught.value.parameters.items()
    assert file.name in caught.value.parameters["file"]
    assert code != "unknown_option" or "healthy, output" in caught.value.parameters["known"]


@pytest.mark.parametrize(("name", "text"), [("a.json", "{"), ("a.toml", "= 5"), ("a.json", "[1]"), ("a.txt", "x")])
def test_a_file_that_is_none_is_refused(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=name):
        given("--config", tmp_path / name, *PLACES)
    with pytest.raises(InputError, match="missing.json") as caught:
        given("--config", tmp_path / "missing.json", *PLACES)
    assert caught.value.code == "unreadable"


def test_a_file_may_name_the_method_that_it_is_for(tmp_path):
    vae, autoencoder = tmp_path / "vae", tmp_path / "autoencoder"
    for folder in (vae, autoencoder):
        folder.mkdir()
        config(folder, method=folder.name, steps=7)
    train, sweep = cli_train.add_arguments, cli_sweep.add_arguments
    args = given("vae", "--config", vae / "config.json", *PLACES, declare=train)
    assert (args.method, args.steps) == ("vae", 7)
    with raises(InputError, "options_of_other_method") as caught:
        given("atlas", "--config", vae / "config.json", *PLACES, declare=train)
    assert (caught.value.parameters["found"], caught.value.parameters["method"]) == ("vae", "atlas")
    assert given("--config", autoencoder / "config.json", *PLACES, declare=sweep).steps == 7
    with raises(InputError, "options_of_other_method") as caught:
        given("--config", vae / "config.json", *PLACES, declare=sweep)
    assert (caught.value.parameters["found"], caught.value.parameters["method"]) == ("vae", "autoencoder")


def test_what_is_needed_must_be_somewhere():
    with raises(InputError, "missing_option", option="healthy"):
        given("-o", "a.medad")
    with raises(InputError, "missing_option", option="output"):
        given("--healthy", "scans")
    with raises(InputError, "not_name_value", text="loss"):
        given(*PLACES, "--set", "loss")


def test_the_help_of_a_sweep_has_only_what_a_sweep_uses():
    parser = argparse.ArgumentParser()
    cli_sweep.add_arguments(parser)
    text = " ".join(parser.format_help().split())
    assert "-o DIR, --output DIR folder to write --only" in text and ".medad" not in text
    assert "Examples: medad sweep --healthy our-scans" in text
    uses = ("--sweep-steps", "--steps", "--split", "--seed", "--sizes", "--abnormal", "--set", "--prepare", "--mixed")
    assert [name for name in uses if name not in text] == []
    unused = ("--prior-steps", "--latent", "--threshold", "--licence", "--pictures", "--full-precision", "--minimum-mm")
    assert [name for name in unused if name in text] == []
    # Command lines of version 0.1.0 may have them.
    assert parser.parse_args(["--threshold", "1ml"]).threshold == "1ml"
    with pytest.raises(InputError, match="-o DIR"):
        cli_sweep.run(parser.parse_args(["--healthy", "scans"]))
    cli_train.add_arguments(parser := argparse.ArgumentParser())
    assert "-o NAME.medad" in parser.format_help() and "folder to write" not in parser.format_help()


def test_every_option_can_stand_in_a_file(tmp_path):
    examples = {bool: True, int: 2, float: 1.5, str: "text", Path: "there"}
    options = {choice.name: choice.allowed[0] if choice.allowed else examples[choice.kind] for choice in CHOICES}
    options |= {choice.name: [options[choice.name]] * choice.count for choice in CHOICES if choice.count > 1}
    args = given("--config", config(tmp_path, **options))
    for choice in CHOICES:
        expected = tmp_path / "there" if choice.kind is Path else options[choice.name]
        assert getattr(args, choice.key) == expected


@pytest.mark.parametrize(
    ("method", "words", "passed_over"),
    [
        ("atlas", ("--steps", 5, "--prior-steps", 5), ["--prior-steps", "--steps"]),
        ("autoencoder", ("--steps", 5, "--sweep-steps", 5), []),
        ("autoencoder", ("--latent", 5, "--sweep-steps", 5), ["--sweep-steps"]),
        ("latent_restoration", ("--prior-steps", 5, "--sweep-steps", 5), ["--sweep-steps"]),
        ("vae", ("--latent", 5), []),
    ],
)
def test_options_that_a_method_has_no_use_for_are_named(method, words, passed_over):
    args = given(*PLACES, *words)
    args.method = method
    assert unused_options(args) == passed_over

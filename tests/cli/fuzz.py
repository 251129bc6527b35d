"""Random and mutated command lines and files, all of them from a seed."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

from structlat_jax import config as configuration

NASTY = (
    *("", " ", "-", "--", "0", "-1", "1", "2", "3.5", "1e3", "1e400", "-1e-400", "nan", "-inf"),
    *(
        "1_000",
        "0x10",
        "9" * 40,
        "-" + "9" * 40,
        "٣",
        "½",
        "é",
        "💥",
        "\udcff",
        "a b",
        "'",
        '"',
        "\\",
    ),
    *("true", "False", "None", "null", "[]", "{}", "%s", "$(id)", "a;b", "a=b", "x" * 300, "\n"),
    *("dir:2x4", "dir:2x4,gau:2", "cat:2x4", "gau:5", "gau:0", "dir:9999x9999", "dir:2x", "cat:x4"),
    *("gau:5,", ",gau:5", "gau:5;gau:2", "gau:5;gau:5", ";", "GAU:5", "gau: 5", "gau:1," * 40),
    *("projected", "exact", "hypotheses", "amortised", "pearl", "softplus", "paper", "cpu", "gpu"),
    *(
        "lr=0.1",
        "width=8",
        "width",
        "=",
        "width=",
        "lr=x",
        "a=1",
        "lr=0.1+width=8",
        "lr=0.1,0.2",
        "width=8,8",
        "choice=thompson",
        "kl=exact;kl=exact",
    ),
)
FOLDERS = (
    "new",
    "new/er",
    "run",
    "kept",
    "full",
    "file",
    "file/x",
    ".",
    "..",
    "",
    "x" * 300,
    "absent",
)
OUT = {"film": (*("new.gif", "run/new.gif") * 6, *FOLDERS)}
PLAN = ("--seeds", "--seed", "--updates", "--evals", "--checkpoint-seconds", "--preset")
SWITCHES = ("--overwrite", "--resume", "--help", "--version", "-h", "--", "--unknown")
ENV = ("--env", "--env-option")
OWN = {
    "table1": ("--latents", "--config", *ENV),
    "ablations": ("--arms", "--config", *ENV),
    "sweep": ("--latents", "--grid", "--config", *ENV),
    "tune": ("--latents", "--search", "--trials", "--batch", "--sampler", "--config", *ENV),
    "evaluate": ("--arms", *ENV),
    "figures": ("--seed", *ENV),
    "view": ENV,
    "film": ("--seed", "--task", *ENV),
    "suite": ("--families", "--latents", "--config"),
    "join": ("--out",),
    "point_robot": ("--config", "--log", "--anchor-start", *ENV),
    "config": ("--config", *ENV),
}
VALUES = {
    "--env": ("point_robot", "own.py", "own.py:make", "own:make", "absent.py", "file:make", "os:x"),
    "--env-option": ("size=2", "goal_radius=0.3", "anchors=0,1", "horizon=true", "size=-1", "=3"),
    "--config": ("run/config.json", "settings.toml", "own.py", "file", "full"),
    "--search": (
        *("lr=1e-4:1e-2:log", "lr=0.1,0.2", "width=8:64", "choice=greedy,thompson", "lr=0:1:log"),
        *("width=64:8", "lr=:", "kl=exact:bridge", "prior-factor=true,false", "hypotheses=2:64"),
    ),
    "--log": ("tensorboard", "wandb"),
    "--families": ("triangle", "triangle+drift=0.1;own.py", "own.py:make+size=2", "absent.py", "+"),
}
FINISHED = ("evaluate", "figures", "view", "film", "join")
FIRST = {name: ["run"] for name in FINISHED}
FIRST["join"] = ["suite", "suite"]
FIRST["tune"] = ["--search", "encoder-lr=1e-4:1e-2:log"]
"""Arguments without which a program does not start at all."""


def command_lines(name: str, count: int, seed: int) -> Iterator[list[str]]:
    """Command lines of a program, from harmless ones to noise."""
    rng = random.Random(f"{name} {seed}")
    fields = configuration.fields()
    flags = ["--" + field.replace("_", "-") for field in fields]
    flags += ["--no-" + field[2:] for field in flags if fields[_field(field)].type is bool]
    for _ in range(count):
        line = list(FIRST.get(name, ()))
        line += ["--out", rng.choice(OUT.get(name, FOLDERS))] if rng.random() < 0.9 else []
        for _ in range(rng.choice([0, 1, 1, 2, 3, 8])):
            few = OWN[name] if name in FINISHED else PLAN  # these take next to no option
            flag = rng.choice(rng.choice([flags, few, OWN[name], ("--out",)]))
            value = rng.choice(FOLDERS) if flag == "--out" else _value(flag, fields, rng)
            line += rng.choice([[flag, value], [flag, value], [f"{flag}={value}"], [flag]])
        if rng.random() < 0.3:
            line.append(rng.choice(SWITCHES))
        if rng.random() < 0.2:
            line.insert(rng.randrange(len(line) + 1), rng.choice([*NASTY, *FOLDERS]))
        yield _mutate(line, rng) if rng.random() < 0.4 else line


def _field(flag: str) -> str:
    return flag.lstrip("-").replace("-", "_")


def _value(flag: str, fields: dict, rng: random.Random) -> str:
    if flag in VALUES and rng.random() < 0.7:
        return rng.choice(VALUES[flag])
    field = fields.get(_field(flag))
    if field is None or rng.random() < 0.5:
        return rng.choice(NASTY)
    kinds = {int: ["1", "2", "8"], float: ["0.5", "1", "10.0"], bool: ["true"]}
    return rng.choice([*kinds.get(field.type, ["x"]), *(field.metadata["choices"] or ())])


def _mutate(line: list[str], rng: random.Random) -> list[str]:
    line = list(line)
    for _ in range(rng.choice([1, 1, 2, 4])):
        if not line:
            break
        at = rng.randrange(len(line))
        kind = rng.choice(["drop", "double", "swap", "letter", "cut"])
        if kind == "drop":
            del line[at]
        elif kind == "double":
            line.insert(at, line[at])
        elif kind == "swap":
            other = rng.randrange(len(line))
            line[at], line[other] = line[other], line[at]
        elif line[at] and not line[at].startswith(".."):
            where = rng.randrange(len(line[at]))
            letter = rng.choice("-=:,;x0é") if kind == "letter" else ""
            line[at] = line[at][:where] + letter + line[at][where + 1 :]
    return line


def damage(path: Path, rng: random.Random) -> str:
    """Damages a file in one of many ways, and says how; sometimes it stays as it was."""
    data = bytearray(path.read_bytes())
    ways = ["bit", "byte", "cut", "empty", "double", "noise", "zeros", "lose", "folder", "insert"]
    if path.suffix == ".json":
        ways += ["json"] * 10
    way = rng.choice(ways)
    at = rng.randrange(len(data)) if data else 0
    if way == "json":
        path.write_text(json.dumps(_other_json(json.loads(data), rng)))
    elif way in ("lose", "folder"):
        path.unlink()
        if way == "folder":
            path.mkdir()
    else:
        if way == "bit" and data:
            data[at] ^= 1 << rng.randrange(8)
        elif way == "byte" and data:
            data[at] = rng.randrange(256)
        elif way == "insert":
            data[at:at] = rng.randbytes(rng.choice([1, 5, 100]))
        elif way == "zeros":
            data[at : at + 64] = bytes(len(data[at : at + 64]))
        else:
            whole = {"cut": data[:at], "empty": b"", "double": data * 2}
            data = whole.get(way, rng.randbytes(rng.choice([1, 100, 5000])))
        path.write_bytes(data)
    return f"{path.name}: {way} at {at}"


def _other_json(value: object, rng: random.Random) -> object:
    """The same with one thing in it replaced, left out or added."""
    values = (
        None,
        True,
        0,
        -1,
        1.5,
        1e308,
        float("nan"),
        "",
        "x",
        [],
        {},
        [[]],
        {"a": None},
        10**30,
    )
    if isinstance(value, dict) and value and rng.random() < 0.9:
        value, key = dict(value), rng.choice(list(value))
        if rng.random() < 0.15:
            del value[key]
        elif rng.random() < 0.1:
            value["surplus"] = rng.choice(values)
        else:
            value[key] = _other_json(value[key], rng)
        return value
    return rng.choice(values)

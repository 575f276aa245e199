"""The command line; each command imports what it runs when it runs."""

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backend import settings
from backend.errors import AssistantsError, ServiceRoleRefused

if TYPE_CHECKING:
    from backend.app.owner import Planned

Data = Annotated[
    Path | None,
    typer.Option("--data", help="The data folder of a local stack.", show_default=False),
]

_LEVELS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}
_MOST_CHARACTERS = 10_000

commands = typer.Typer(
    help="Insert a row, get an assistant's answer.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command; an error of ours is a few words and exit code 1."""
    try:
        commands(prog_name="assistants")
    except AssistantsError as error:
        if isinstance(error, ServiceRoleRefused):
            print(f"DATABASE_URL={error.service_url}", flush=True)
        sys.stderr.write(f"{error}\n")
        sys.exit(1)


@commands.command()
def up(
    data: Data = None,
    workers: Annotated[int, typer.Option(min=0, max=64, help="How many workers.")] = 1,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Of the Supabase URL.")] = None,
    api_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Of the HTTP service.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Say where all is as JSON.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Return once all is ready.")] = False,
) -> None:
    """Start a local Supabase, the service and its workers."""
    from backend import local_stack

    folder = settings.data_folder(data)
    wishes = local_stack.Wishes(
        workers=workers, supabase_port=port, api_port=api_port, workplace=Path().absolute()
    )
    if detach:
        print(json.dumps(local_stack.up_detached(folder, wishes, or_running=as_json), indent=2))
    else:
        local_stack.up(folder, wishes, as_json=as_json)


@commands.command()
def down(data: Data = None) -> None:
    """Stop a local stack; its data stays."""
    from backend import local_stack

    folder = settings.data_folder(data)
    stopped = local_stack.down(folder)
    print(f"Stopped the stack in {folder}." if stopped else f"Nothing runs in {folder}.")


@commands.command()
def serve(
    data: Data = None,
    with_worker: Annotated[
        bool, typer.Option("--with-worker", help="Answer messages in this process, too.")
    ] = False,
) -> None:
    """Answer HTTP requests."""
    from backend.app import service

    service.serve(settings.load(data), with_worker=with_worker)


@commands.command()
def work(data: Data = None) -> None:
    """Answer messages."""
    from backend.app import worker

    worker.work(settings.load(data))


@commands.command()
def healthy(
    worker: Annotated[
        bool | None,
        typer.Option(
            "--worker/--service",
            help="Which one is meant; else the one of this container.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Say whether the process of this container is well, by exit code 0 or 1."""
    from backend.app import health

    found = health.look(settings.load_probe(), worker=worker)
    print(found.found)
    sys.exit(0 if found.is_well else 1)


@commands.command()
def migrate(
    data: Data = None,
    service_role: Annotated[
        bool, typer.Option("--service-role", help="Make the service's own login, too.")
    ] = False,
    new_password: Annotated[
        bool,
        typer.Option("--new-password", help="Where there is that login, change its password."),
    ] = False,
    seed: Annotated[bool, typer.Option("--seed", help="Add a first assistant.")] = False,
    pin_issuer: Annotated[
        bool, typer.Option("--pin-issuer", help="Let only tokens of CLERK_ISSUER count.")
    ] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would be applied.")] = False,
    back_to: Annotated[
        str | None,
        typer.Option(metavar="VERSION", help="Roll back whatever is newer.", show_default=False),
    ] = None,
) -> None:
    """Bring the database's schema up to date."""
    from backend.app import owner

    if sum((service_role or seed or pin_issuer, plan, back_to is not None)) > 1:
        raise typer.BadParameter("--plan and --back-to stand alone.")
    if new_password and not service_role:
        raise typer.BadParameter("--new-password is the service login's: add --service-role.")
    login = settings.load_owner(data)
    if plan:
        _print_plan(owner.plan(login))
    elif back_to is not None:
        count = len(owner.roll_back(login, back_to, tell=_note))
        _note(f"Rolled back {count} migrations." if count else "There is nothing to roll back.")
    else:
        wishes = owner.Wishes(
            service_role=service_role, new_password=new_password, seed=seed, pin_issuer=pin_issuer
        )
        done = owner.migrate(login, wishes, tell=_note)
        count = len(done.applied)
        _note(f"Applied {count} migrations." if count else "The schema is up to date.")
        if done.service_url:
            print(f"DATABASE_URL={shlex.quote(done.service_url)}")


@commands.command()
def webhook(
    url: Annotated[
        str | None,
        typer.Argument(
            help="Of the service: `assistants serve --with-worker`.", show_default=False
        ),
    ] = None,
    data: Data = None,
    rotate: Annotated[bool, typer.Option("--rotate", help="Sign with a new secret.")] = False,
    off: Annotated[bool, typer.Option("--off", help="Send no more.")] = False,
) -> None:
    """Let the database tell a service about new messages; prints the service's secret once."""
    from backend.app import webhook as sender

    if off and (url or rotate):
        raise typer.BadParameter("--off stands alone.")
    login = settings.load_owner(data)
    if off:
        _note("The webhook is off." if sender.switch_off(login) else "There was no webhook.")
        _note("Unset WEBHOOK_SECRET where the service runs.")
        return
    done = sender.set_up(login, url, rotate=rotate)
    _note(f"The database sends its webhooks to {done.url}.")
    if done.secret is None:
        _note("The secret stays as it is: WEBHOOK_SECRET, where the service runs.")
        return
    _note("Set this where the service runs, and start it again; it is not shown again:")
    print(f"WEBHOOK_SECRET={done.secret}")
    if done.previous:
        print(f"WEBHOOK_SECRET_PREVIOUS={done.previous}")
        _note("Five minutes after that, remove WEBHOOK_SECRET_PREVIOUS.")


@commands.command()
def doctor(
    data: Data = None,
    token: Annotated[
        str | None,
        typer.Option(
            metavar="-",
            help="Try a user's session token, from standard input, on the project.",
            show_default=False,
        ),
    ] = None,
    policies: Annotated[
        bool,
        typer.Option("--policies", help="Only compare the wall with this release's, in detail."),
    ] = False,
) -> None:
    """Say what is missing before a message can be answered, in the order to see to it."""
    from backend.app import doctor as examination
    from backend.app import wall
    from backend.domain.checks import any_failed
    from backend.telemetry import logs

    if token not in (None, "-"):
        raise typer.BadParameter("others can read a command line: use `--token -` and type it in.")
    if policies and token:
        raise typer.BadParameter("--policies stands alone.")
    given = _typed_token() if token else None
    logs.show()
    if policies:
        checks = wall.examine(settings.load_reader(data))
    else:
        checks = examination.doctor(settings.load(data), token=given)
    for check in checks:
        print(f"{_LEVELS[check.level]}  {_line(check.name)}: {_line(check.found)}")
        if check.advice:
            print(f"      {_line(check.advice)}")
    if any_failed(checks):
        sys.exit(1)


def _typed_token() -> str:
    # As consoles print it, and as headers hold it.
    typed = sys.stdin.readline(_MOST_CHARACTERS).strip().strip("\"'`").removeprefix("Bearer ")
    if not typed:
        raise typer.BadParameter("`--token -` reads a token from standard input, and none came.")
    return typed


@commands.command()
def tools(
    as_json: Annotated[
        bool, typer.Option("--json", help="Say also what models are told, as JSON.")
    ] = False,
) -> None:
    """List the functions that rows of assistants may name; asks each server for its own."""
    from backend.app import tool_list
    from backend.telemetry import logs

    logs.show()
    listed = tool_list.list_tools(settings.load_tools())
    if as_json:
        print(json.dumps([tool.as_json() for tool in listed], indent=2))
    else:
        for tool in listed:
            print(_line(str(tool)))
    sys.exit(1 if any(tool.why_not for tool in listed) else 0)


@commands.command()
def token(
    user: Annotated[str, typer.Option(help="Whom the token speaks for, such as user_ada.")],
    data: Data = None,
    org: Annotated[str | None, typer.Option(help="The active organisation.")] = None,
    role: Annotated[str | None, typer.Option(help="In it; member if none is said.")] = None,
) -> None:
    """Print a session token of the local issuer, good for a minute."""
    from backend import local_stack

    if role is not None and org is None:
        raise typer.BadParameter("--role is the one in an organisation: add --org.")
    subject, target = local_stack.Subject(user, org, role), settings.load(data).clerk_issuer
    print(local_stack.token(settings.data_folder(data), target, subject))


def _print_plan(planned: "Planned") -> None:
    for step in planned.steps:
        print(step)
    count = len(planned.steps)
    _note(
        planned.refusal
        or (f"{count} migrations would be applied." if count else "The schema is up to date.")
    )


def _line(said: str) -> str:
    # Some of it may be another server's words.
    return "".join(one if one.isprintable() else "?" for one in said[:_MOST_CHARACTERS])


def _note(said: str) -> None:
    print(said, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

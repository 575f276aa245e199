"""The command line; each command imports what it runs when it runs."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from backend import settings
from backend.errors import AssistantsError

Data = Annotated[
    Path | None,
    typer.Option("--data", help="The data folder of a local stack.", show_default=False),
]

commands = typer.Typer(
    help="Insert a row, get an assistant's answer.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command; an error of ours is one sentence and exit code 1."""
    try:
        commands(prog_name="assistants")
    except AssistantsError as error:
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
    wishes = local_stack.Wishes(workers=workers, supabase_port=port, api_port=api_port)
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
def migrate(
    data: Data = None,
    service_role: Annotated[
        bool, typer.Option("--service-role", help="Make the service's own login, too.")
    ] = False,
) -> None:
    """Bring the database's schema up to date."""
    from backend.app import owner

    done = owner.migrate(settings.load_owner(data), service_role=service_role)
    count = len(done.applied)
    print(f"Applied {count} migrations." if count else "The schema is up to date.", file=sys.stderr)
    if done.service_url:
        print(f"DATABASE_URL={done.service_url}")


@commands.command()
def doctor(data: Data = None) -> None:
    """Say what is missing before a message can be answered."""
    from backend.app import owner

    checks = owner.doctor(settings.load(data))
    for check in checks:
        print(f"{'ok  ' if check.ok else 'FAIL'}  {check.name}: {check.found}")
        if check.advice:
            print(f"      {check.advice}")
    if not all(check.ok for check in checks):
        sys.exit(1)


@commands.command()
def token(
    user: Annotated[str, typer.Option(help="Whom the token speaks for, such as user_ada.")],
    data: Data = None,
    org: Annotated[str | None, typer.Option(help="The active organisation.")] = None,
    role: Annotated[str, typer.Option(help="The user's role in it.")] = "member",
) -> None:
    """Print a session token of the local issuer, good for a minute."""
    from backend import local_stack

    subject = local_stack.Subject(user_id=user, org_id=org, org_role=role)
    target = settings.load(data).clerk_issuer
    print(local_stack.token(settings.data_folder(data), target, subject))


if __name__ == "__main__":
    main()

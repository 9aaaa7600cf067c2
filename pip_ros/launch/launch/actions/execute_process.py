"""Processes."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from ..action import Action, LaunchDescriptionEntity, entity_list
from ..event import SomeReaction
from ..event_handlers import OnProcessExit
from ..events.process import ProcessExited, ProcessStarted
from ..output import MODES
from ..process import ManagedProcess, ProcessSpec
from ..substitution import (
    SomeSubstitutionsType,
    Substitution,
    describe_substitutions,
    normalize_to_list_of_substitutions,
    perform_substitutions,
)
from ..upstream_only import refuse_keywords

if TYPE_CHECKING:
    from ..conditions import Condition
    from ..launch_context import LaunchContext


class ExecuteProcess(Action):
    """Runs a command and looks after it until it ends or the launch does.

    cmd:             one item per word; with ``shell`` the words are joined by spaces and given to ``sh``
    prefix:          words to put before the command, cut as a shell would
    name:            name in messages, by default the command's file name; a number is added
    cwd, env:        working directory and whole environment; ``additional_env`` adds to either environment
    output:          ``screen``, ``both`` or ``log`` (stdout to the log file only)
    sigterm_timeout: seconds from SIGINT to SIGTERM when the launch ends; ``sigkill_timeout``: from there to SIGKILL
    respawn:         start it again whenever it ends by itself, after ``respawn_delay`` seconds,
                     ``respawn_max_retries`` times (-1: without limit)
    on_exit:         actions, or a function of event and context that returns them, whenever it ends
    """

    def __init__(
        self,
        *,
        cmd: Iterable[SomeSubstitutionsType],
        prefix: SomeSubstitutionsType | None = None,
        name: SomeSubstitutionsType | None = None,
        cwd: SomeSubstitutionsType | None = None,
        env: Mapping[str, SomeSubstitutionsType] | None = None,
        additional_env: Mapping[str, SomeSubstitutionsType] | None = None,
        shell: bool = False,
        output: str = "log",
        sigterm_timeout: float | SomeSubstitutionsType = "5",
        sigkill_timeout: float | SomeSubstitutionsType = "5",
        respawn: bool = False,
        respawn_delay: float | None = None,
        respawn_max_retries: int = -1,
        on_exit: SomeReaction = None,
        condition: Condition | None = None,
        **unsupported: object,
    ) -> None:
        super().__init__(condition=condition)
        refuse_keywords(self, unsupported)
        if output not in MODES:
            raise ValueError(f"{type(self).__name__}: expected output to be one of {', '.join(MODES)}, got {output!r}")
        if isinstance(cmd, str):
            raise TypeError(f"{type(self).__name__}: expected cmd to be a list of words, got the text {cmd!r}")
        self._cmd = [normalize_to_list_of_substitutions(word) for word in cmd]
        if not self._cmd:
            raise ValueError(f"{type(self).__name__}: expected cmd to have at least one word, got none")
        self._prefix = normalize_to_list_of_substitutions(prefix or "")
        self._name = None if name is None else normalize_to_list_of_substitutions(name)
        self._cwd = None if cwd is None else normalize_to_list_of_substitutions(cwd)
        self._env = None if env is None else _normalize_values(env)
        self._additional_env = _normalize_values(additional_env or {})
        self._shell = shell
        self._output_mode = output
        self._sigterm_timeout = normalize_to_list_of_substitutions(_as_text(sigterm_timeout))
        self._sigkill_timeout = normalize_to_list_of_substitutions(_as_text(sigkill_timeout))
        self._respawn = respawn
        self._respawn_delay_s = respawn_delay or 0.0
        self._respawn_max_retries = respawn_max_retries
        self._respawn_count = 0
        self._on_exit = on_exit
        if on_exit is not None and not callable(on_exit):
            self._on_exit = entity_list(on_exit)
        self._spec: ProcessSpec | None = None
        self.return_code: int | None = None

    def execute(self, context: LaunchContext) -> None:
        if context.is_shutdown:
            return
        if self._spec is not None:
            raise RuntimeError(f"{self._spec.name} was started already; create one action for each process")
        self._spec = self._make_spec(context)
        if self._on_exit is not None:
            context.register_event_handler(OnProcessExit(target_action=self, on_exit=self._on_exit))
        self._start(context, self._spec)

    def describe(self) -> str:
        return f"{type(self).__name__}(cmd=[{', '.join(map(describe_substitutions, self._cmd))}])"

    def describe_sub_entities(self) -> Sequence[LaunchDescriptionEntity]:
        return [] if self._on_exit is None or callable(self._on_exit) else entity_list(self._on_exit)

    def _make_command(self, context: LaunchContext) -> list[str]:
        return [perform_substitutions(context, word) for word in self._cmd]

    def _make_name(self, context: LaunchContext, command: Sequence[str]) -> str:
        return os.path.basename(command[0]) if self._name is None else perform_substitutions(context, self._name)

    def _make_spec(self, context: LaunchContext) -> ProcessSpec:
        command = self._make_command(context)
        environment = dict(context.environment)
        if self._env is not None:
            environment = {name: perform_substitutions(context, value) for name, value in self._env.items()}
        environment.update({name: perform_substitutions(context, value) for name, value in self._additional_env.items()})
        override = context.environment.get("OVERRIDE_LAUNCH_PROCESS_OUTPUT")
        if override is not None and override not in MODES:
            raise RuntimeError(
                f"environment variable OVERRIDE_LAUNCH_PROCESS_OUTPUT: expected one of {', '.join(MODES)}, got {override!r}"
            )
        return ProcessSpec(
            name=f"{self._make_name(context, command)}-{context.next_process_number()}",
            command=[*shlex.split(perform_substitutions(context, self._prefix)), *command],
            cwd=None if self._cwd is None else perform_substitutions(context, self._cwd),
            environment=environment,
            shell=self._shell,
            output_mode=override or self._output_mode,
            sigterm_timeout_s=float(perform_substitutions(context, self._sigterm_timeout)),
            sigkill_timeout_s=float(perform_substitutions(context, self._sigkill_timeout)),
        )

    def _start(self, context: LaunchContext, spec: ProcessSpec) -> None:
        def ended(return_code: int) -> None:
            context.processes.discard(process)
            self.return_code = return_code
            context.emit_event_sync(
                ProcessExited(
                    action=self,
                    name=spec.name,
                    cmd=spec.command,
                    cwd=spec.cwd,
                    env=spec.environment,
                    pid=process.pid,
                    returncode=return_code,
                )
            )
            self._respawn_if_wanted(context, spec)

        process = ManagedProcess(spec, output=context.output, guardian=context.guardian, on_exit=ended)
        try:
            process.start()
        except OSError as error:
            raise RuntimeError(f"{spec.name}: cannot start '{' '.join(spec.command)}': {error}") from error
        context.processes.add(process)
        self.return_code = None
        context.emit_event_sync(
            ProcessStarted(action=self, name=spec.name, cmd=spec.command, cwd=spec.cwd, env=spec.environment, pid=process.pid)
        )

    def _respawn_if_wanted(self, context: LaunchContext, spec: ProcessSpec) -> None:
        has_retries = self._respawn_max_retries < 0 or self._respawn_count < self._respawn_max_retries
        if self._respawn and has_retries and not context.is_shutdown:
            self._respawn_count += 1
            context.call_later(self._respawn_delay_s, lambda: self._start(context, spec))


def _normalize_values(texts: Mapping[str, SomeSubstitutionsType]) -> dict[str, list[Substitution]]:
    return {name: normalize_to_list_of_substitutions(value) for name, value in texts.items()}


def _as_text(value: float | SomeSubstitutionsType) -> SomeSubstitutionsType:
    return str(value) if isinstance(value, (int, float)) else value

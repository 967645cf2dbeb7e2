"""Gamepads: sticks, buttons and hats as controls for the mapping; one may be plugged in or out at any time."""

from __future__ import annotations

import logging
import os

import pygame

from input.action import ControlMoved

log = logging.getLogger(__name__)
DEAD = 0.06  # of a stick's way from its middle: nothing is heard of it


class Gamepads:
    """Turns the window system's events of gamepads into moves. Owned by the window.

    Names: "pad:axis:NUMBER" (0.5 in the middle), "pad:button:NUMBER", "pad:hat:x" and "pad:hat:y".
    """

    def __init__(self) -> None:
        os.environ.setdefault("SDL_JOYSTICK_ALLOW_BACKGROUND_EVENTS", "1")  # the show may lose the keyboard
        pygame.joystick.init()
        self._open: dict[int, pygame.joystick.JoystickType] = {}  # an unreferenced one is silent
        self._places: dict[tuple[int, str], float] = {}  # of axes and hats, by gamepad and name; absent: the middle

    def moves(self, event: pygame.Event) -> list[ControlMoved]:
        """The moves that an event stands for; none if it concerns no gamepad, or says nothing new."""
        if event.type == pygame.JOYDEVICEADDED:
            self._add(event.device_index)
        elif event.type == pygame.JOYDEVICEREMOVED:
            self._open.pop(event.instance_id, None)
        elif event.type == pygame.JOYAXISMOTION:
            value = 0.0 if abs(event.value) < DEAD else round(event.value, 4)  # to the right it ends at 0.99997
            return self._moved(event.instance_id, f"pad:axis:{event.axis}", value)
        elif event.type in (pygame.JOYBUTTONDOWN, pygame.JOYBUTTONUP):
            return [ControlMoved(f"pad:button:{event.button}", float(event.type == pygame.JOYBUTTONDOWN))]
        elif event.type == pygame.JOYHATMOTION:
            sides = zip("xy", event.value, strict=True)
            return [move for side, value in sides for move in self._moved(event.instance_id, f"pad:hat:{side}", value)]
        return []

    def _add(self, index: int) -> None:
        try:
            pad = pygame.joystick.Joystick(index)
        except pygame.error as error:  # it was plugged out again
            log.debug("gamepad: %s", error)
            return
        self._open[pad.get_instance_id()] = pad
        log.info("gamepad %s", pad.get_name())

    def _moved(self, pad: int, name: str, value: float) -> list[ControlMoved]:
        """The move to `value`, from -1 to 1, unless it is there already."""
        if self._places.get((pad, name), 0.0) == value:
            return []
        self._places[pad, name] = value
        return [ControlMoved(name, (value + 1) / 2)]

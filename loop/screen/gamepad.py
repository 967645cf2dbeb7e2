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
        self._axes: dict[int, float] = {}

    def move(self, event: pygame.Event) -> ControlMoved | None:
        """The move that an event stands for; None if it concerns no gamepad, or says nothing new."""
        if event.type == pygame.JOYDEVICEADDED:
            self._add(event.device_index)
        elif event.type == pygame.JOYDEVICEREMOVED:
            self._open.pop(event.instance_id, None)
        elif event.type == pygame.JOYAXISMOTION:
            return self._axis(event.axis, event.value)
        elif event.type in (pygame.JOYBUTTONDOWN, pygame.JOYBUTTONUP):
            return ControlMoved(f"pad:button:{event.button}", float(event.type == pygame.JOYBUTTONDOWN))
        elif event.type == pygame.JOYHATMOTION:
            side = "x" if event.value[0] else "y"
            return ControlMoved(f"pad:hat:{side}", (event.value[0] or event.value[1]) / 2 + 0.5)
        return None

    def _add(self, index: int) -> None:
        try:
            pad = pygame.joystick.Joystick(index)
        except pygame.error as error:  # it was plugged out again
            log.debug("gamepad: %s", error)
            return
        self._open[pad.get_instance_id()] = pad
        log.info("gamepad %s", pad.get_name())

    def _axis(self, axis: int, value: float) -> ControlMoved | None:
        position = 0.0 if abs(value) < DEAD else max(-1.0, min(value, 1.0))
        if self._axes.get(axis) == position:
            return None
        self._axes[axis] = position
        return ControlMoved(f"pad:axis:{axis}", (position + 1) / 2)

"""MIDI: what messages mean, and ports that come and go. No MIDI system is needed."""

import random

import pytest

from input.action import ControlMoved
from input.midi import MidiDecoder, MidiError, MidiPorts

mido = pytest.importorskip("mido", reason="needs mido: pip install 'neverblink[midi]'")


class FakePort:
    def __init__(self, callback):
        self.callback, self.is_closed = callback, False

    def close(self):
        self.is_closed = True


class FakeSystem:
    """Stands for mido: ports that a test plugs in and out."""

    def __init__(self, *names):
        self.names, self.opened = list(names), {}

    def get_input_names(self):
        return self.names

    def open_input(self, name, callback):
        self.opened[name] = FakePort(callback)
        return self.opened[name]


def decoded(*messages):
    decoder = MidiDecoder()
    return [heard for message in messages for heard in decoder.decode(message)]


def controls(*messages):
    return {heard.control: heard.value for heard in decoded(*messages)}


def cc(number, value):
    return mido.Message("control_change", channel=0, control=number, value=value)


def test_notes_are_down_and_up_also_with_velocity_0():
    on, off = mido.Message("note_on", note=36, velocity=90), mido.Message("note_on", note=36, velocity=0)
    assert decoded(on, off) == [ControlMoved("note:1:36", 1.0), ControlMoved("note:1:36", 0.0)]
    assert decoded(mido.Message("note_off", channel=9, note=40)) == [ControlMoved("note:10:40", 0.0)]


def test_a_controller_has_a_position_and_a_step():
    (heard,) = decoded(cc(20, 127))
    assert (heard.control, heard.value, heard.step) == ("cc:1:20", 1.0, pytest.approx(-1 / 127))


def test_two_controllers_make_one_of_14_bits():
    assert controls(cc(20, 64), cc(52, 5))["cc14:1:20"] == pytest.approx((64 * 128 + 5) / 16383)


def test_an_nrpn_is_one_control():
    found = controls(cc(99, 2), cc(98, 3), cc(6, 100), cc(38, 50))
    assert found == {"nrpn:1:259": pytest.approx((100 * 128 + 50) / 16383)}


def test_the_clock_and_the_transport_are_heard():
    kinds = ("start", "clock", "stop", "continue")
    assert decoded(*map(mido.Message, kinds), mido.Message("songpos", pos=16)) == [*kinds, ("song", 4.0)]


def test_garbage_bytes_harm_nothing():
    parser, chance = mido.Parser(), random.Random(2)
    parser.feed(chance.randbytes(20_000))
    assert all(heard for heard in decoded(*parser))


def test_only_ports_of_the_wanted_name_are_opened():
    system = FakeSystem("nanoKONTROL2 MIDI 1", "Launchpad")
    ports = MidiPorts("nanokontrol", system)
    assert ports.connected == ["nanoKONTROL2 MIDI 1"]
    ports.close()


def test_a_port_that_vanishes_and_comes_back_is_heard_again():
    system = FakeSystem("Launchpad")
    ports = MidiPorts("auto", system)
    system.names.clear()
    ports.look()
    assert ports.connected == []
    system.names.append("Launchpad")
    ports.look()
    system.opened["Launchpad"].callback(cc(20, 127))
    assert [heard.control for heard, _ in ports.poll(0)] == ["cc:1:20"]
    ports.close()


def test_a_machine_without_midi_is_told():
    class Silent(FakeSystem):
        def get_input_names(self):
            raise RuntimeError("no sequencer")

    with pytest.raises(MidiError, match="no MIDI system here: no sequencer"):
        MidiPorts("auto", Silent())

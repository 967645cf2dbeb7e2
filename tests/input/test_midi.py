"""MIDI: what messages mean, and ports that come and go. No MIDI system is needed."""

import random

import pytest

from input.action import ControlMoved
from input.midi.decoder import MidiDecoder
from input.midi.lamps import Lamps
from input.midi.ports import MidiError, MidiPorts

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


class FakeLamps:
    """A port of rtmidi that keeps what it was sent. is_gone: sending fails."""

    def __init__(self):
        self.sent, self.is_open, self.is_gone = [], True, False

    def send_message(self, message):
        if self.is_gone:
            raise RuntimeError("no such port")
        self.sent.append(message)

    def close_port(self):
        self.is_open = False

    def delete(self):
        """Nothing is left to give back."""


class FakeController(FakeSystem):
    """A system whose ports have lamps as well. outputs: their names; lamps: the newest port of each name."""

    def __init__(self, *names, outputs=None):
        super().__init__(*names)
        self.outputs, self.lamps = self.names if outputs is None else outputs, {}

    def get_output_names(self):
        return self.outputs

    def open_lamps(self, name):
        self.lamps[name] = FakeLamps()
        return Lamps(self.lamps[name])


@pytest.fixture
def controller():
    return FakeController("Launchpad")


@pytest.fixture
def ports(controller):
    found = MidiPorts("auto", controller, has_lamps=True)
    yield found
    found.close()


def test_a_lamp_is_sent_to_when_its_value_changes_and_not_before(ports, controller):
    for value in (127, 127, 127, 0):
        ports.light({"note:10:36": value, "cc:1:20": 5})
    assert controller.lamps["Launchpad"].sent == [[0x99, 36, 127], [0xB0, 20, 5], [0x99, 36, 0]]


def test_all_lamps_are_out_at_the_end(controller):
    ports = MidiPorts("auto", controller, has_lamps=True)
    ports.light({"note:1:1": 127, "note:1:2": 0, "cc:16:127": 64})
    ports.close()
    assert controller.lamps["Launchpad"].sent[3:] == [[0x90, 1, 0], [0xBF, 127, 0]]
    assert not controller.lamps["Launchpad"].is_open


def test_a_controller_that_comes_back_is_told_all_its_lamps(ports, controller):
    ports.light({"note:1:1": 127})
    first = controller.lamps["Launchpad"]
    first.is_gone = True
    ports.light({"note:1:1": 3})
    controller.names.clear()
    ports.look()
    ports.light({"note:1:1": 5})
    controller.names.append("Launchpad")
    ports.look()
    ports.light({"note:1:1": 5})
    assert controller.lamps["Launchpad"] is not first
    assert controller.lamps["Launchpad"].sent == [[0x90, 1, 5]]


def test_with_auto_only_what_is_an_input_too_has_lamps_and_never_what_sends_back_what_it_gets():
    names = ("Launchpad", "Midi Through Port-0")
    system = FakeController(*names, outputs=[*names, "a synthesiser"])
    MidiPorts("auto", system, has_lamps=True).close()
    assert list(system.lamps) == ["Launchpad"]
    MidiPorts("synth", system, has_lamps=True).close()
    assert list(system.lamps) == ["Launchpad", "a synthesiser"]


def test_without_lights_in_the_mapping_no_output_is_opened(controller):
    MidiPorts("auto", controller).close()
    assert controller.lamps == {}

"""Dynamixel servos behind a pseudo terminal: protocol 2.0 as far as a hand's driver speaks it, with switchable faults.

Follows the manufacturer's published protocol: header FF FF FD 00, id, length, instruction, parameters, CRC (polynomial 0x8005).
"""

from __future__ import annotations

import os
import pty
import select
import threading
import tty
from collections.abc import Sequence

HEADER = b"\xff\xff\xfd\x00"
PING, READ, WRITE, REBOOT, STATUS, SYNC_READ, SYNC_WRITE = 0x01, 0x02, 0x03, 0x08, 0x55, 0x82, 0x83
BROADCAST = 0xFE
ALERT = 0x80
MODEL_XC330 = 1220
OPERATING_MODE, TORQUE_ENABLE, HARDWARE_ERROR = 11, 64, 70
GOAL_CURRENT, GOAL_POSITION, PRESENT_POSITION = 102, 116, 132
OVERLOAD = 1 << 5


def crc16(data: bytes) -> int:
    """Checksum of a packet without its last two bytes."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ 0x8005 if crc & 0x8000 else crc << 1
        crc &= 0xFFFF
    return crc


class Servo:
    """Registers of one servo; it stands where its goal says as soon as torque is on."""

    def __init__(self, position_ticks: int) -> None:
        self.registers = bytearray(256)
        self.reboots = 0
        self.put(PRESENT_POSITION, position_ticks, 4)
        self.put(OPERATING_MODE, 3, 1)

    def get(self, address: int, size: int) -> int:
        return int.from_bytes(self.registers[address : address + size], "little", signed=size > 1)

    def put(self, address: int, value: int, size: int) -> None:
        self.registers[address : address + size] = value.to_bytes(size, "little", signed=size > 1)

    def write(self, address: int, data: bytes) -> None:
        """As the bus writes; a latched error and the EEPROM under torque are as stubborn as in reality."""
        if address < 64 and self.get(TORQUE_ENABLE, 1):
            return
        if address == TORQUE_ENABLE and self.get(HARDWARE_ERROR, 1):
            return
        self.registers[address : address + len(data)] = data
        if self.get(TORQUE_ENABLE, 1):
            self.put(PRESENT_POSITION, self.get(GOAL_POSITION, 4), 4)

    def latch(self, error: int) -> None:
        """Shut down with a hardware error."""
        self.put(HARDWARE_ERROR, error, 1)
        self.put(TORQUE_ENABLE, 0, 1)

    def reboot(self) -> None:
        """Clear RAM and errors."""
        position = self.get(PRESENT_POSITION, 4)
        self.registers[64:] = bytes(256 - 64)
        self.put(PRESENT_POSITION, position, 4)
        self.reboots += 1


class FakeDynamixelBus:
    """Context manager: servos of the given ids on the port `port`.

    `silent`: nobody answers. `corrupt`: answers have wrong checksums. `missing`: ids that do not answer.
    """

    def __init__(self, ids: Sequence[int], position_ticks: int = 0) -> None:
        self.servos = {motor: Servo(position_ticks) for motor in ids}
        self.silent = False
        self.corrupt = False
        self.missing: set[int] = set()
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> FakeDynamixelBus:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(5.0)
        os.close(self._master)
        os.close(self._slave)

    def _run(self) -> None:
        received = bytearray()
        while not self._ended.is_set():
            if select.select([self._master], [], [], 0.05)[0]:
                received += os.read(self._master, 4096)
                while (packet := self._take_packet(received)) is not None:
                    self._answer(packet)

    @staticmethod
    def _take_packet(received: bytearray) -> bytes | None:
        start = received.find(HEADER)
        if start < 0:
            del received[: max(0, len(received) - 3)]
            return None
        del received[:start]
        if len(received) < 7:
            return None
        size = 7 + int.from_bytes(received[5:7], "little")
        if len(received) < size:
            return None
        packet = bytes(received[:size])
        del received[:size]
        return packet if crc16(packet[:-2]) == int.from_bytes(packet[-2:], "little") else b""

    def _answer(self, packet: bytes) -> None:
        if not packet:
            return
        motor, instruction, parameters = packet[4], packet[7], packet[8:-2]
        if instruction == SYNC_WRITE:
            address, size = int.from_bytes(parameters[:2], "little"), int.from_bytes(parameters[2:4], "little")
            for at in range(4, len(parameters), size + 1):
                if parameters[at] in self.servos:
                    self.servos[parameters[at]].write(address, parameters[at + 1 : at + 1 + size])
        elif instruction == SYNC_READ:
            address, size = int.from_bytes(parameters[:2], "little"), int.from_bytes(parameters[2:4], "little")
            for listed in parameters[4:]:
                if listed in self.servos:
                    self._status(listed, bytes(self.servos[listed].registers[address : address + size]))
        elif motor in self.servos:
            self._answer_one(motor, instruction, parameters)

    def _answer_one(self, motor: int, instruction: int, parameters: bytes) -> None:
        servo = self.servos[motor]
        if instruction == PING:
            self._status(motor, MODEL_XC330.to_bytes(2, "little") + b"\x01")
        elif instruction == READ:
            address, size = int.from_bytes(parameters[:2], "little"), int.from_bytes(parameters[2:4], "little")
            self._status(motor, bytes(servo.registers[address : address + size]))
        elif instruction == WRITE:
            servo.write(int.from_bytes(parameters[:2], "little"), parameters[2:])
            self._status(motor, b"")
        elif instruction == REBOOT:
            servo.reboot()
            self._status(motor, b"")

    def _status(self, motor: int, parameters: bytes) -> None:
        if self.silent or motor in self.missing:
            return
        error = ALERT if self.servos[motor].get(HARDWARE_ERROR, 1) else 0
        body = bytes([motor]) + (len(parameters) + 4).to_bytes(2, "little") + bytes([STATUS, error]) + parameters
        crc = crc16(HEADER + body)
        if self.corrupt:
            crc ^= 0xFFFF
        os.write(self._master, HEADER + body + crc.to_bytes(2, "little"))

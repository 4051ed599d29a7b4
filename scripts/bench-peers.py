"""The model of `bench_sim`'s first rows in SimPy and in Mesa: a thousand accounts, of which each hands some money to the next one whenever its
time has come, and is called again after a random while. Prints JSON lines; `scripts/bench --only sim` runs it with the packages of
scripts/bench-peers.txt.
"""

import json
import random
import time

import mesa
import simpy
from mesa.experimental.devs import DEVSimulator

ACCOUNTS = 1_000
EVENTS = 200_000
AMOUNT = 10**9
LONGEST = 1_000_000


def figure(name, events, seconds):
    print(json.dumps({"name": name, "value": round(events / seconds), "unit": "1/s"}), flush=True)


def transfer(balances, of):
    to = (of + 1) % len(balances)
    amount = min(AMOUNT, balances[of])
    balances[of] -= amount
    balances[to] += amount


def with_simpy():
    chance, balances, env, done = random.Random(1), [2**64] * ACCOUNTS, simpy.Environment(), [0]

    def account(number):
        while True:
            yield env.timeout(chance.randrange(LONGEST))
            transfer(balances, number)
            done[0] += 1

    for number in range(ACCOUNTS):
        env.process(account(number))
    begun = time.perf_counter()
    while done[0] < EVENTS:
        env.step()
    figure(f"SimPy {simpy.__version__}: events a second, {ACCOUNTS} pending", EVENTS, time.perf_counter() - begun)
    assert sum(balances) == ACCOUNTS * 2**64


class Account(mesa.Agent):
    def __init__(self, model, number):
        super().__init__(model)
        self.number = number

    def step(self):
        transfer(self.model.balances, self.number)

    def wake(self):
        self.step()
        self.model.done += 1
        self.model.schedule(self)


class Market(mesa.Model):
    """By events, if there is a simulator; else by ticks, at each of which every agent has its turn."""

    def __init__(self, simulator=None):
        super().__init__(seed=1)
        self.balances, self.done, self.simulator = [2**64] * ACCOUNTS, 0, simulator
        if simulator:
            simulator.setup(self)
        for number in range(ACCOUNTS):
            account = Account(self, number)
            if simulator:
                self.schedule(account)

    def schedule(self, account):
        self.simulator.schedule_event_relative(account.wake, self.random.randrange(LONGEST))

    def step(self):
        self.agents.shuffle_do("step")


def with_mesa_events():
    simulator = DEVSimulator()
    model = Market(simulator)
    begun = time.perf_counter()
    while model.done < EVENTS:
        simulator.run_next_event()
    seconds = time.perf_counter() - begun
    figure(f"Mesa {mesa.__version__}, discrete events: events a second, {ACCOUNTS} pending", model.done, seconds)
    assert sum(model.balances) == ACCOUNTS * 2**64


def with_mesa_ticks():
    model, ticks = Market(), EVENTS // ACCOUNTS
    begun = time.perf_counter()
    for _ in range(ticks):
        model.step()
    seconds = time.perf_counter() - begun
    figure(f"Mesa {mesa.__version__}, ticks: agents' turns a second, {ACCOUNTS} agents", ticks * ACCOUNTS, seconds)
    assert sum(model.balances) == ACCOUNTS * 2**64


with_simpy()
with_mesa_events()
with_mesa_ticks()

"""Restoring the last of many incrementals, beside a full of the same state."""
from typing import Callable

from bench.live_groups import live_bytes
from bench.rows.fulls import QUESTION
from bench.rows.incrementals import RANDOM_PAGES, heap_pages

HOT_SET = "UPDATE mixed SET amount = amount + 1 WHERE id <= (SELECT max(id) / 100 FROM mixed) AND id % 10 = {turn} % 10"


def restore_after_many(bench) -> None:
    """Of one hot set; and of pages at random, where what a group holds besides is paid for too."""
    place = bench.places[0]
    hot = Chain(bench, place, lambda turn: bench.cluster.sql(HOT_SET.format(turn=turn)))
    bench.results.share(f"restore after {bench.chain} incrementals of one hot set, of a full's", hot.after_many, hot.after_full, 1.1, "s")
    pages = heap_pages(bench.cluster)
    scattered = Chain(bench, place, lambda _: bench.cluster.sql(RANDOM_PAGES.format(pages=pages, wanted=pages // 100)))
    live, whole = scattered.live_bytes()
    title = f"restore after {bench.chain} incrementals of 1 % random pages"
    bench.results.share(f"{title}, of a full's", scattered.after_many, scattered.after_full, 1.1 * live / whole, "s")
    bench.results.shown(f"{title}: bytes in live groups, beside a full's", live / 2**20, "MiB", whole / 2**20)


class Chain:
    """A full, many upon it, a full of the same state; and restores of the last two in turns."""

    def __init__(self, bench, place, change: Callable[[int], object]):
        self.backstay = backstay = bench.backstay(place)
        with backstay.receiver():
            backstay.back_up()
            for turn in range(bench.chain):
                change(turn)
                backstay.back_up_incrementally()
            self.last = backstay.backup
            backstay.back_up()
            self.full = backstay.backup
        after_many, after_full = [], []
        for number in range(bench.rounds):
            for backup, times in ((self.last, after_many), (self.full, after_full)):
                backstay.backup = backup
                times.append(bench.until_query(backstay, QUESTION))
            bench.say_round(number + 1)
        self.after_many, self.after_full = bench.middle(after_many), bench.middle(after_full)

    def live_bytes(self) -> "tuple[int, int]":
        return live_bytes(self.backstay, self.last), live_bytes(self.backstay, self.full)

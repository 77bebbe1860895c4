"""Restoring the last of many incrementals, beside a full of the same state."""
from bench.rows.fulls import QUESTION

HOT_SET = "UPDATE mixed SET amount = amount + 1 WHERE id <= (SELECT max(id) / 100 FROM mixed) AND id % 10 = {turn} % 10"


def restore_after_many(bench) -> None:
    place = bench.places[0]
    backstay = bench.backstay(place)
    with backstay.receiver():
        backstay.back_up()
        for turn in range(bench.chain):
            bench.cluster.sql(HOT_SET.format(turn=turn))
            backstay.back_up_incrementally()
        last = backstay.backup
        backstay.back_up()
        full = backstay.backup
    after_many, after_full = [], []
    for number in range(bench.rounds):
        for backup, times in ((last, after_many), (full, after_full)):
            backstay.backup = backup
            times.append(bench.until_query(backstay, QUESTION))
        bench.say_round(number + 1)
    bench.results.share(f"restore after {bench.chain} incrementals of one hot set, of a full's", bench.middle(after_many),
                        bench.middle(after_full), 1.1, "s")

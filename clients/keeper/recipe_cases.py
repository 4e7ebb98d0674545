"""kazoo's recipes: what other people's programs are made of."""

import datetime
import threading
import time

from kazoo.exceptions import CancelledError, LockTimeout
from kazoo.recipe.cache import TreeCache, TreeEvent

from kazoo_clients import case, drop_connection, refused
from suite import check, check_equal, eventually


class Threads:
    """Threads whose failures are those of the case."""

    def __init__(self):
        self.threads, self.errors = [], []

    def start(self, function, *arguments):
        def body():
            try:
                function(*arguments)
            except BaseException as error:  # Told by `join`.
                self.errors.append(error)

        self.threads.append(threading.Thread(target=body, daemon=True))
        self.threads[-1].start()

    def join(self, seconds=90):
        for thread in self.threads:
            thread.join(seconds)
            check(not thread.is_alive(), f"a thread is not done after {seconds} s")
        if self.errors:
            raise self.errors[0]


@case
def a_lock_has_one_holder_at_a_time(clients, path):
    holders, taken, threads = [], [], Threads()

    def work(client, name):
        for _ in range(8):
            with client.Lock(path, name):
                holders.append(name)
                check_equal(holders, [name], "the holders")
                taken.append(name)
                time.sleep(0.005)
                holders.remove(name)

    for number in range(5):
        threads.start(work, clients.start(), f"worker {number}")
    threads.join()
    check_equal(len(taken), 40, "how often the lock was taken")


@case
def a_lock_goes_to_those_who_wait_in_their_order(clients, path):
    first = clients.start()
    lock = first.Lock(path, "first")
    lock.acquire()
    order, threads = [], Threads()

    def wait(client, name):
        with client.Lock(path, name):
            order.append(name)

    for number in range(4):
        threads.start(wait, clients.start(), f"waiter {number}")
        expected = ["first"] + [f"waiter {n}" for n in range(number + 1)]
        eventually(lambda expected=expected: lock.contenders() == expected, lambda: f"contenders {lock.contenders()}")
    lock.release()
    threads.join()
    check_equal(order, [f"waiter {number}" for number in range(4)], "the order of the holders")


@case
def a_lock_whose_holder_is_gone_is_free(clients, path):
    holder, waiter = clients.start(), clients.start()
    holder.Lock(path, "holder").acquire()
    lock = waiter.Lock(path, "waiter")
    check_equal(lock.acquire(blocking=False), False, "a lock that is taken")
    refused(LockTimeout, lock.acquire, timeout=0.5)
    holder.stop()
    check_equal(lock.acquire(timeout=20), True, "the lock when its holder is gone")
    lock.release()


@case
def waiting_for_a_lock_can_be_given_up(clients, path):
    holder, waiter, threads = clients.start(), clients.start(), Threads()
    held = holder.Lock(path, "holder")
    held.acquire()
    lock = waiter.Lock(path, "waiter")
    threads.start(lambda: refused(CancelledError, lock.acquire))
    eventually(lambda: len(held.contenders()) == 2, "the waiter waits")
    lock.cancel()
    threads.join()
    eventually(lambda: held.contenders() == ["holder"], "the waiter is gone")


@case
def readers_share_and_a_writer_does_not(clients, path):
    one, two, three = clients.start(), clients.start(), clients.start()
    readers = [client.ReadLock(path, "reader") for client in (one, two)]
    for reader in readers:
        check_equal(reader.acquire(timeout=20), True, "a reader beside readers")
    writer = three.WriteLock(path, "writer")
    refused(LockTimeout, writer.acquire, timeout=0.5)
    for reader in readers:
        reader.release()
    check_equal(writer.acquire(timeout=20), True, "the writer alone")
    refused(LockTimeout, readers[0].acquire, timeout=0.5)
    writer.release()


@case
def a_semaphore_has_no_more_leases_than_it_may(clients, path):
    inside, most, mutex, threads = [0], [0], threading.Lock(), Threads()

    def work(client, name):
        for _ in range(2):
            with client.Semaphore(path, name, max_leases=3):
                with mutex:
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                time.sleep(0.25)
                with mutex:
                    inside[0] -= 1

    for number in range(7):
        threads.start(work, clients.start(), f"worker {number}")
    threads.join()
    check(2 <= most[0] <= 3, f"at most 3 leases at once, and more than one: {most[0]}")
    client = clients.start()
    check_equal(client.Semaphore(path, "late", max_leases=3).lease_holders(), [], "holders at the end")


@case
def an_election_has_one_leader_and_then_another(clients, path):
    led, threads, release = [], Threads(), {}

    def lead(name):
        led.append(name)
        check(release[name].wait(60), "the leader is told to stop")

    for number in range(3):
        name, client = f"candidate {number}", clients.start()
        release[name] = threading.Event()
        election = client.Election(path, name)
        threads.start(election.run, lead, name)
        eventually(lambda: len(election.contenders()) == number + 1, "the candidate stands")
    for number in range(3):
        eventually(lambda number=number: len(led) == number + 1, "somebody leads")
        check_equal(led[-1], f"candidate {number}", "who leads")
        time.sleep(0.1)
        check_equal(len(led), number + 1, "leaders so far")
        release[led[-1]].set()
    threads.join()


@case
def a_queue_gives_each_entry_once_by_priority(clients, path):
    client = clients.start()
    queue = client.Queue(path)
    check_equal(queue.get(), None, "an empty queue")
    for value, priority in ((b"low", 200), (b"first", 100), (b"second", 100), (b"high", 1)):
        queue.put(value, priority)
    check_equal(len(queue), 4, "its length")
    order = [queue.get() for _ in range(4)]
    check_equal(order, [b"high", b"first", b"second", b"low"], "the order")
    for number in range(60):
        queue.put(str(number).encode())
    taken, threads = [], Threads()

    def take(other):
        mine = other.Queue(path)
        while (entry := mine.get()) is not None:
            taken.append(entry)

    for _ in range(3):
        threads.start(take, clients.start())
    threads.join()
    check_equal(sorted(taken), sorted(str(number).encode() for number in range(60)), "what was taken by three")


@case
def a_locking_queue_gives_back_what_was_not_consumed(clients, path):
    one, two = clients.start(), clients.start()
    queue = one.LockingQueue(path)
    queue.put_all([b"a", b"b"])
    check_equal(queue.get(timeout=10), b"a", "the first entry")
    check_equal(queue.holds_lock(), True, "the entry is held")
    other = two.LockingQueue(path)
    check_equal(other.get(timeout=10), b"b", "the next entry for another consumer")
    check_equal(other.consume(), True, "it is consumed")
    check_equal(other.get(timeout=0.5), None, "nothing else is free")
    one.stop()
    check_equal(other.get(timeout=10), b"a", "what the first consumer left")
    check_equal(other.consume(), True, "it is consumed")
    check_equal(len(other), 0, "the length at the end")


@case
def a_barrier_holds_until_it_is_removed(clients, path):
    owner, threads, passed = clients.start(), Threads(), []
    barrier = owner.Barrier(path)
    barrier.create()

    def wait(client):
        check(client.Barrier(path).wait(60), "the barrier goes")
        passed.append(1)

    for _ in range(3):
        threads.start(wait, clients.start())
    time.sleep(0.5)
    check_equal(passed, [], "who passed a barrier that stands")
    check_equal(barrier.remove(), True, "the removal")
    threads.join()
    check_equal(len(passed), 3, "who passed")
    check_equal(barrier.wait(1), True, "a barrier that is gone")


@case
def a_double_barrier_lets_all_in_and_out_together(clients, path):
    count, log, threads = 4, [], Threads()

    def work(client, number):
        barrier = client.DoubleBarrier(path, count, identifier=f"p{number}")
        log.append("ready")
        barrier.enter()
        check_equal(log.count("ready"), count, "who was ready when one entered")
        time.sleep(0.1 * number)
        log.append("done")
        barrier.leave()
        check_equal(log.count("done"), count, "who was done when one left")

    for number in range(count):
        threads.start(work, clients.start(), number)
        time.sleep(0.1)
    threads.join()


@case
def a_counter_loses_no_increment(clients, path):
    threads, client = Threads(), clients.start()
    client.ensure_path(path)

    def count(other):
        counter = other.Counter(path)
        for _ in range(20):
            counter += 1
            counter -= 3

    for _ in range(4):
        threads.start(count, clients.start())
    threads.join()
    client.sync(path)
    check_equal(client.Counter(path).value, 4 * 20 * -2, "the value")
    check_equal(client.exists(path).version, 4 * 20 * 2, "a change for each increment")
    real = client.Counter(f"{path}-float", default=1.5)
    real += 2.25
    check_equal(real.value, 3.75, "a counter of fractions")


@case
def a_party_knows_its_members(clients, path):
    parties = [client.Party(path, f"guest {n}") for n, client in enumerate([clients.start() for _ in range(3)])]
    for party in parties:
        party.join()
    names = ["guest 0", "guest 1", "guest 2"]
    eventually(lambda: sorted(parties[0]) == names, lambda: f"members {sorted(parties[0])}")
    parties[1].leave()
    eventually(lambda: sorted(parties[0]) == ["guest 0", "guest 2"], "one has left")
    clients.made[2].stop()
    eventually(lambda: len(parties[0]) == 1, "another's session has ended")
    shallow = clients.start().ShallowParty(f"{path}-shallow", "only")
    shallow.join()
    check_equal(list(shallow), ["only"], "members of a shallow party")


@case
def a_data_watch_sees_every_state_that_lasts(clients, path):
    client, writer = clients.start(), clients.start()
    seen = []

    @client.DataWatch(path)
    def watch(data, stat, event):
        seen.append((data, stat and stat.version, event and event.type))

    check_equal(seen, [(None, None, None)], "what is not there yet")

    def expect(entry):
        eventually(lambda: seen[-1] == entry, lambda: f"{entry}, not {seen}", seconds=20)

    writer.create(path, b"0")
    expect((b"0", 0, "CREATED"))
    writer.set(path, b"1")
    expect((b"1", 1, "CHANGED"))
    drop_connection(client)
    eventually(lambda: client.connected, "the client connects again")
    writer.set(path, b"2")
    eventually(lambda: seen[-1][:2] == (b"2", 2), lambda: f"the data behind a lost connection, not {seen}")
    writer.delete(path)
    eventually(lambda: seen[-1][0] is None, lambda: f"the deletion, not {seen}")


@case
def a_children_watch_ends_with_the_last_list(clients, path):
    client, writer = clients.start(), clients.start()
    writer.create(path)
    client.sync(path)
    seen = []
    client.ChildrenWatch(path, lambda children: seen.append(sorted(children)))
    names = [f"child-{number:02}" for number in range(30)]
    for name in names:
        writer.create(f"{path}/{name}")
    eventually(lambda: seen[-1] == names, lambda: f"all children, not {seen[-1]}")
    for name in names[:-1]:
        writer.delete(f"{path}/{name}")
    eventually(lambda: seen[-1] == names[-1:], lambda: f"the last child, not {seen[-1]}")


@case
def a_tree_cache_follows_a_whole_tree(clients, path):
    client, writer = clients.start(), clients.start()
    writer.create(path, b"root")
    writer.create(f"{path}/a", b"1")
    cache, events = TreeCache(client, path), []
    cache.listen(lambda event: events.append(event.event_type))
    cache.start()
    eventually(lambda: TreeEvent.INITIALIZED in events, "the cache is filled")
    check_equal(cache.get_data(f"{path}/a").data, b"1", "data in the cache")
    writer.create(f"{path}/a/deep", b"2")
    eventually(lambda: cache.get_data(f"{path}/a/deep"), "a znode in the depth")
    check_equal(sorted(cache.get_children(f"{path}/a")), ["deep"], "children in the cache")
    writer.set(f"{path}/a/deep", b"3")
    eventually(lambda: cache.get_data(f"{path}/a/deep").data == b"3", "data that changed")
    writer.delete(f"{path}/a", recursive=True)
    eventually(lambda: cache.get_data(f"{path}/a") is None, "what was deleted")
    check(TreeEvent.NODE_REMOVED in events and TreeEvent.NODE_UPDATED in events, f"events {events}")
    cache.close()


@case
def a_set_is_divided_among_its_workers(clients, path):
    things = [f"thing {number}" for number in range(7)]

    def work(name):
        return clients.start().SetPartitioner(path, set=things, identifier=name, time_boundary=0.5)

    workers = [work("one"), work("two")]

    def settle():
        for worker in workers:
            if worker.release:
                worker.release_set()
            check(not worker.failed, "a worker failed")
        if not all(worker.acquired for worker in workers):
            return False
        return sorted(thing for worker in workers for thing in worker) == sorted(things)

    eventually(settle, "all is given out to two", seconds=60)
    check(all(len(list(worker)) >= 3 for worker in workers), "each has its part")
    workers.append(work("three"))
    eventually(settle, "all is given out to three", seconds=60)
    workers.pop(0).finish()
    eventually(settle, "all is given out to the two that are left", seconds=60)


@case
def a_lease_is_taken_once_until_it_runs_out(clients, path):
    one, two = clients.start(), clients.start()
    duration = datetime.timedelta(seconds=1)
    check(one.NonBlockingLease(path, duration, identifier="one"), "a free lease")
    check(not two.NonBlockingLease(path, duration, identifier="two"), "a lease that is taken")
    check(one.NonBlockingLease(path, duration, identifier="one"), "a lease of one's own")
    time.sleep(1.2)
    check(two.NonBlockingLease(path, duration, identifier="two"), "a lease that ran out")
    check(one.MultiNonBlockingLease(2, f"{path}-multi", duration, identifier="one"), "the first of two leases")
    check(two.MultiNonBlockingLease(2, f"{path}-multi", duration, identifier="two"), "the second of two leases")
    check(not two.MultiNonBlockingLease(2, f"{path}-multi", duration, identifier="three"), "a third one")

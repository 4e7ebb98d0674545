package ottla.keeper;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import ottla.clients.Suite;

/** Keeps the events that watches get, in order: those of znodes apart from those of the session. */
final class Events implements Watcher {
    private static final long WAIT_SECONDS = 30;
    private final List<String> ofNodes = new ArrayList<>();
    private final List<Event.KeeperState> ofSession = new ArrayList<>();

    @Override
    public synchronized void process(WatchedEvent event) {
        if (event.getType() == Event.EventType.None) {
            ofSession.add(event.getState());
        } else {
            ofNodes.add(event.getType() + " " + event.getPath());
        }
        notifyAll();
    }

    synchronized List<String> seen() {
        return List.copyOf(ofNodes);
    }

    synchronized List<Event.KeeperState> states() {
        return List.copyOf(ofSession);
    }

    /** Waits until exactly these events have come. */
    synchronized void expect(String... expected) throws InterruptedException {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(WAIT_SECONDS);
        while (ofNodes.size() < expected.length) {
            long leftMs = TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime());
            if (leftMs <= 0) {
                break;
            }
            wait(leftMs);
        }
        Suite.checkEqual(ofNodes, List.of(expected), "events");
    }

    synchronized void expectState(Event.KeeperState state) throws InterruptedException {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(WAIT_SECONDS);
        while (!ofSession.contains(state)) {
            long leftMs = TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime());
            Suite.check(leftMs > 0, "state " + state + " among " + ofSession);
            wait(leftMs);
        }
    }
}

package ottla.clients;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.UUID;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;

/** Runs named cases and prints one line for each, in the form that all suites share. */
public final class Suite {
    private static final long CASE_SECONDS_MAX = 120;

    /** A case may fail in any way. */
    public interface Case {
        void run() throws Exception;
    }

    /** Thrown by a case that cannot run here; the reason is printed. */
    public static final class NotRun extends RuntimeException {
        public NotRun(String reason) {
            super(reason);
        }
    }

    private final Map<String, Case> cases = new LinkedHashMap<>();
    private final String control;

    /** @param control HOST:PORT that restarts the node, or null */
    public Suite(String control) {
        this.control = control;
    }

    public void add(String name, Case body) {
        cases.put(name, body);
    }

    /** Runs the cases whose name contains {@code only}; answers whether none failed. */
    public boolean run(String only) throws InterruptedException {
        boolean good = true;
        for (Map.Entry<String, Case> entry : cases.entrySet()) {
            if (only == null || entry.getKey().contains(only)) {
                good &= runCase(entry.getKey(), entry.getValue());
            }
        }
        return good;
    }

    private boolean runCase(String name, Case body) throws InterruptedException {
        Throwable[] outcome = new Throwable[1];
        Thread thread = new Thread(() -> {
            try {
                body.run();
            } catch (Throwable error) {
                outcome[0] = error;
            }
        }, name);
        thread.setDaemon(true);
        long started = System.nanoTime();
        thread.start();
        thread.join(Duration.ofSeconds(CASE_SECONDS_MAX).toMillis());
        if (thread.isAlive()) {
            outcome[0] = new AssertionError("not finished after " + CASE_SECONDS_MAX + " s");
            outcome[0].setStackTrace(thread.getStackTrace());
        }
        String seconds = String.format("%.1f s", (System.nanoTime() - started) / 1e9);
        if (outcome[0] instanceof NotRun) {
            System.out.printf("case %s: not run (%s)%n", name, outcome[0].getMessage());
            return true;
        }
        if (outcome[0] == null) {
            System.out.printf("case %s: ok (%s)%n", name, seconds);
            return true;
        }
        System.out.printf("case %s: FAILED (%s)%n", name, seconds);
        print(outcome[0]);
        return false;
    }

    private static void print(Throwable error) {
        for (Throwable cause = error; cause != null; cause = cause.getCause()) {
            System.out.println("    " + cause);
            StackTraceElement[] stack = cause.getStackTrace();
            for (int i = 0; i < Math.min(stack.length, 12); i++) {
                System.out.println("      at " + stack[i]);
            }
        }
    }

    /** Asks whoever started the node: "restart" (SIGTERM) or "kill" (SIGKILL), then a new start. */
    public void askForNode(String word) throws IOException {
        if (control == null) {
            throw new NotRun("needs --control, the address that restarts the node");
        }
        int colon = control.lastIndexOf(':');
        String host = control.substring(0, colon);
        int port = Integer.parseInt(control.substring(colon + 1));
        try (Socket socket = new Socket(host, port)) {
            socket.setSoTimeout(90_000);
            socket.getOutputStream().write((word + "\n").getBytes(StandardCharsets.UTF_8));
            String answer = new BufferedReader(new InputStreamReader(socket.getInputStream())).readLine();
            checkEqual(answer, "ok", "the node's return after " + word);
        }
    }

    /** A name that no earlier run has used. */
    public static String fresh(String name) {
        return name + "-" + UUID.randomUUID().toString().substring(0, 8);
    }

    public static void check(boolean condition, String what) {
        if (!condition) {
            throw new AssertionError(what);
        }
    }

    public static void checkEqual(Object actual, Object expected, String what) {
        if (!Objects.deepEquals(actual, expected)) {
            throw new AssertionError(what + ": expected " + shortened(expected) + ", got " + shortened(actual));
        }
    }

    private static String shortened(Object value) {
        String text = String.valueOf(value);
        return text.length() < 600 ? text : text.substring(0, 600) + "... (" + text.length() + " characters)";
    }

    /** Waits until the condition holds, 45 s at most. */
    public static void eventually(BooleanSupplier condition, Supplier<String> what) throws InterruptedException {
        long deadline = System.nanoTime() + Duration.ofSeconds(45).toNanos();
        while (System.nanoTime() < deadline) {
            if (condition.getAsBoolean()) {
                return;
            }
            Thread.sleep(50);
        }
        throw new AssertionError("not within 45 s: " + what.get());
    }
}

package ottla.clients;

import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.temporal.ChronoUnit;

/** What a client does and is told, one line each, with the time in microseconds first. */
final class Journal {
    private final FileOutputStream file;

    Journal(String path) throws IOException {
        file = new FileOutputStream(path, true);
    }

    /** Writes a line at once: the process may be killed at any moment. */
    synchronized void say(Object... words) {
        StringBuilder line = new StringBuilder();
        line.append(ChronoUnit.MICROS.between(Instant.EPOCH, Instant.now()));
        for (Object word : words) {
            line.append(' ').append(word);
        }
        try {
            file.write(line.append('\n').toString().getBytes(StandardCharsets.UTF_8));
        } catch (IOException error) {
            Runtime.getRuntime().halt(4);
        }
    }
}

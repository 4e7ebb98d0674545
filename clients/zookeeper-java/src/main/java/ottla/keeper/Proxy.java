package ottla.keeper;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.ArrayList;
import java.util.List;

/** Stands between a client and a server, and can cut their connections. */
final class Proxy implements AutoCloseable {
    private final ServerSocket listener;
    private final String host;
    private final int port;
    private final List<Socket> open = new ArrayList<>();
    private boolean refusing;

    /** @param server HOST:PORT to which connections go */
    Proxy(String server) throws IOException {
        int colon = server.lastIndexOf(':');
        host = server.substring(0, colon);
        port = Integer.parseInt(server.substring(colon + 1));
        listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        start(this::accept);
    }

    /** HOST:PORT for the client. */
    String address() {
        return "127.0.0.1:" + listener.getLocalPort();
    }

    /** Cuts what is connected; the client may connect again at once. */
    synchronized void cut() {
        for (Socket socket : open) {
            try {
                socket.close();
            } catch (IOException ignored) {
                // It is closed in any case.
            }
        }
        open.clear();
    }

    /** Cuts what is connected and closes whatever connects, until it is called with false. */
    synchronized void refuse(boolean refuse) {
        refusing = refuse;
        if (refuse) {
            cut();
        }
    }

    @Override
    public void close() throws IOException {
        listener.close();
        cut();
    }

    private void accept() throws IOException {
        while (true) {
            Socket client = listener.accept();
            synchronized (this) {
                if (refusing) {
                    client.close();
                    continue;
                }
                Socket server = new Socket(host, port);
                open.add(client);
                open.add(server);
                start(() -> pump(client, server));
                start(() -> pump(server, client));
            }
        }
    }

    private static void pump(Socket from, Socket to) throws IOException {
        try (from; to) {
            InputStream in = from.getInputStream();
            OutputStream out = to.getOutputStream();
            in.transferTo(out);
        }
    }

    private interface Body {
        void run() throws IOException;
    }

    private static void start(Body body) {
        Thread thread = new Thread(() -> {
            try {
                body.run();
            } catch (IOException end) {
                // A connection that was cut ends its threads like this.
            }
        });
        thread.setDaemon(true);
        thread.start();
    }
}

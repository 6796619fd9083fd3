/** Calls, allocates, collects and starts threads, for tools that look at a JVM. */
public class Work {
    static Object kept;

    static void called(int depth) {
        if (depth > 0) called(depth - 1);
    }

    public static void main(String[] args) throws Exception {
        long end = System.nanoTime() + 120_000_000_000L;
        while (System.nanoTime() < end) {
            called(3);
            for (int i = 0; i < 100; i++) kept = new Object[10];
            System.gc();
            Thread thread = new Thread(() -> called(1), "worker");
            thread.start();
            thread.join();
            Thread.sleep(100);
        }
    }
}

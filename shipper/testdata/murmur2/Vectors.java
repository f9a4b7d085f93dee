// Prints, for keys, what Kafka's own Java client makes of them: the key in
// hexadecimal, the murmur2 hash as it is, and the partition of 1, 2, 3, 6, 12, 50
// and 1000. How murmur2.txt was made, with the jars of Kafka 4.4.0 in LIBS:
//
//     java -cp "LIBS/*" Vectors.java > murmur2.txt
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.Random;
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;
import org.apache.kafka.common.utils.Utils;

class Vectors {
    static final int[] PARTITIONS = {1, 2, 3, 6, 12, 50, 1000};

    static void print(byte[] key) {
        StringBuilder out = new StringBuilder("\"").append(HexFormat.of().formatHex(key)).append("\" ").append(Utils.murmur2(key));
        for (int n : PARTITIONS) {
            out.append(' ').append(BuiltInPartitioner.partitionForKey(key, n));
        }
        System.out.println(out);
    }

    public static void main(String[] args) {
        String[] texts = {
            "", "a", "ab", "abc", "abcd", "abcde", "kafka", "21", "foobar", "Pool Cars", "/var/log/poolcars/app.log",
            "host-0042.example.org", "größe", "日本語", "a-little-bit-long-string", "a-little-bit-longer-string",
            "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", "\0", "\u007f", "applications.central_logging",
        };
        for (String text : texts) {
            print(text.getBytes(StandardCharsets.UTF_8));
        }
        Random random = new Random(20); // the same keys each time
        for (int length = 0; length < 200; length++) {
            byte[] key = new byte[length % 40];
            random.nextBytes(key);
            print(key);
        }
    }
}

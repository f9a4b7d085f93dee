"""Sends keys to a topic with librdkafka's murmur2_random and prints, for each, the
key in hexadecimal and the partition where it went.

Usage: librdkafka.py ADDRESS TOPIC KEYS; KEYS has a key in hexadecimal a line.
"""
import sys

from confluent_kafka import Producer

address, topic, keys = sys.argv[1:]
producer = Producer({"bootstrap.servers": address, "partitioner": "murmur2_random"})


def report(error, message):
    if error:
        sys.exit(f"{error}")
    print((message.key() or b"").hex(), message.partition())


with open(keys) as lines:
    for line in lines:
        producer.produce(topic, key=bytes.fromhex(line.strip()), value=b"-", on_delivery=report)
        producer.poll(0)
if producer.flush(60):
    sys.exit("not everything was delivered")

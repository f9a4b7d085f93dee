"""Prints each record of a topic as "partition offset value", for ever.

Usage: consume.py ADDRESS TOPIC
"""
import sys
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

address, topic = sys.argv[1:]
consumer = Consumer({
    "bootstrap.servers": address,
    "group.id": "kafkatest",  # asked for, never joined: assign() is not subscribe()
    "enable.auto.commit": False,
})
# A broker that has just made a topic may not know of it yet.
deadline = time.monotonic() + 60
while not (partitions := consumer.list_topics(topic, timeout=30).topics[topic].partitions):
    if time.monotonic() > deadline:
        sys.exit(f"topic {topic} does not exist")
    time.sleep(0.1)
consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in partitions])

out = sys.stdout.buffer
while True:
    for message in consumer.consume(1000, timeout=0.1):
        if message.error():
            raise KafkaException(message.error())
        out.write(b"%d %d %s\n" % (message.partition(), message.offset(), message.value()))
    out.flush()

"""Ops on threads of their own: replicas of tf.distribute, a thread of the user's, a pool."""

import concurrent.futures
import threading

import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
with strategy.scope():
    model = tf.keras.Sequential([tf.keras.layers.Input((8, 8, 3)), tf.keras.layers.Conv2D(4, 3)])
    model.compile("sgd", "mse")
model.fit(tf.ones([8, 8, 8, 3]), tf.ones([8, 6, 6, 4]), batch_size=4, verbose=0)  # fit


def replica(values):
    return tf.nn.elu(values)  # replica


@tf.function
def step(values):
    return strategy.run(replica, args=(values,))  # strategy


step(tf.ones([4]))  # step
for _ in range(2):
    one = threading.Thread(target=tf.nn.relu, args=(tf.ones([3]),))
    one.start()  # thread
    one.join()
other = threading.Thread(target=tf.nn.relu, args=(tf.ones([3]),))
other.start()  # other thread
other.join()
with concurrent.futures.ThreadPoolExecutor(1) as pool:
    pool.submit(tf.nn.selu, tf.ones([3])).result()

"""Four convolutions of ResNet-50 with their gradients: which algorithm each gets, what the choice cost, and whether the
next run chooses the same.

tftrace run -o traces/resnet50_convs examples/resnet50_convs.py
tftrace algorithms traces/resnet50_convs
tftrace why 'Conv2DBackprop*' traces/resnet50_convs

Record it twice, and `tftrace compare` tells which picks differ and what that costs.
"""

import os

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # TensorFlow's own choice on newer processors only
import tensorflow as tf

SHAPES = (  # image, filters, stride
    ([56, 56, 64], [3, 3, 64, 64], 1),
    ([28, 28, 128], [3, 3, 128, 128], 1),
    ([56, 56, 256], [1, 1, 256, 512], 2),
    ([224, 224, 3], [7, 7, 3, 64], 2),
)
on_gpu = bool(tf.config.list_physical_devices("GPU"))
batch, dtypes = (32, (tf.float32, tf.float16)) if on_gpu else (2, (tf.float32,))

for dtype in dtypes:
    for image, kernel, stride in SHAPES:
        images = tf.cast(tf.random.stateless_normal([batch, *image], seed=[1, 2]), dtype)
        filters = tf.cast(tf.random.stateless_normal(kernel, seed=[3, 4]), dtype)
        for _ in range(6):
            with tf.GradientTape() as tape:
                tape.watch([images, filters])
                features = tf.nn.conv2d(images, filters, stride, "SAME")
            of_images, of_filters = tape.gradient(features, [images, filters])
        of_filters.numpy()

print(len(SHAPES) * len(dtypes), "convolutions with their gradients, on", features.device.rpartition("/")[2])

from innerloop.bench import flops, settings
from worlds import raced_world as world


def test_the_operations_of_first_order_are_those_of_its_convolutions_and_head():
    made = world(algorithm="fomaml")
    counts = [len(side.targets) for side in made.episodes[0]]
    # Forward, back to the weights, and back to the inputs, which nobody asks of the images.
    sizes, channels, filters = (16, 8, 4, 2), (1, 2, 2, 2), 2
    convolutions = sum(
        2 * 9 * channel * filters * size**2 * (3 - (number == 0))
        for number, (size, channel) in enumerate(zip(sizes, channels, strict=True))
    )
    head = 3 * 2 * filters * 3
    assert flops.of_loop(settings.algorithm_of(made), made) == 3 * sum(counts) * (convolutions + head)


def test_second_order_takes_more():
    first, second = (world(algorithm=name) for name in ("fomaml", "maml"))
    assert flops.of_loop(settings.algorithm_of(second), second) > flops.of_loop(settings.algorithm_of(first), first)

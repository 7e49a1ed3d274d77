"""Modules as users bring them: attention, recurrence, buffers, tied and frozen and unused parameters, in float64."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from innerloop.data.episode import Episode, Examples
from innerloop.seeds import generator

TOKENS, LENGTH, WIDTH, WAYS = 7, 4, 4, 3


def token_episode(seed=0, k_shot=2, n_queries=3) -> Episode:
    """Sequences of whole numbers, drawn around a token of each class's own."""
    rng = generator(seed, "tokens")

    def examples(per_way):
        rows = torch.randint(0, TOKENS, (WAYS * per_way, LENGTH), generator=rng)
        targets = torch.arange(WAYS).repeat_interleave(per_way)
        rows[:, 0] = targets
        return Examples(rows, targets)

    return Episode(examples(k_shot), examples(n_queries))


def brought(kind, **options):
    """Make a module of this kind in float64; torch's own first values leave no trace in the generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return kind(**options).double()


class Transformer(nn.Module):
    """One layer of torch's own, as brought in training or in eval mode."""

    def __init__(self, dropout=0.0):
        super().__init__()
        self.embed = nn.Embedding(TOKENS, WIDTH)
        self.register_buffer("position", torch.linspace(-1, 1, LENGTH)[:, None].expand(LENGTH, WIDTH).clone())
        layer = nn.TransformerEncoderLayer(WIDTH, 2, 6, dropout=dropout, activation="gelu", batch_first=True)
        self.body = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, WAYS)

    def forward(self, tokens):
        return self.head(self.body(self.embed(tokens) + self.position).mean(1))


class OwnAttention(nn.Module):
    """Attention that nobody can see from outside: a call of torch's function, in the user's forward."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(TOKENS, WIDTH)
        self.project = nn.Linear(WIDTH, 3 * WIDTH)
        self.head = nn.Linear(WIDTH, WAYS)

    def forward(self, tokens):
        query, key, value = self.project(self.embed(tokens))[:, None].chunk(3, -1)
        return self.head(F.scaled_dot_product_attention(query, key, value).mean((1, 2)))


class Recurrent(nn.Module):
    """Two layers both ways; for LSTM and GRU."""

    def __init__(self, cell=nn.LSTM):
        super().__init__()
        self.embed = nn.Embedding(TOKENS, WIDTH)
        self.body = cell(WIDTH, 3, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(6, WAYS)

    def forward(self, tokens):
        return self.head(self.body(self.embed(tokens))[0].mean(1))


class Packed(nn.Module):
    """Sequences of several lengths, packed."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(TOKENS, WIDTH)
        self.body = nn.LSTM(WIDTH, 3, batch_first=True)
        self.head = nn.Linear(3, WAYS)

    def forward(self, tokens):
        lengths = [1 + row % LENGTH for row in range(len(tokens))]
        packed = nn.utils.rnn.pack_padded_sequence(self.embed(tokens), lengths, batch_first=True, enforce_sorted=False)
        return self.head(self.body(packed)[1][0][-1])


class Writing(nn.Module):
    """A running mean and a counter, written in every forward pass in one of several ways; and a layer never used."""

    def __init__(self, how="in place"):
        super().__init__()
        self.how = how
        self.body = nn.Linear(6, WIDTH)
        self.unused = nn.Linear(2, 2)
        self.head = nn.Linear(WIDTH, WAYS)
        self.register_buffer("mean", torch.zeros(WIDTH))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, inputs):
        features = torch.tanh(self.body(inputs))
        if self.how == "in place":
            self.mean.mul_(0.9).add_(0.1 * features.mean(0))
        elif self.how == "without gradient":
            with torch.no_grad():
                self.mean.mul_(0.9).add_(0.1 * features.mean(0))
        else:
            self.mean = 0.9 * self.mean + 0.1 * features.mean(0)
        self.calls += 1
        return self.head(features - self.mean)


class Tied(nn.Module):
    """Encoder layers that share a weight, and an embedding that shares it with the head unless told otherwise."""

    def __init__(self, head_tied=True, head_first=False):
        super().__init__()
        if head_first:
            self.head = nn.Linear(TOKENS, TOKENS)
        self.embed = nn.Embedding(TOKENS, TOKENS)
        self.left, self.right = nn.Linear(TOKENS, TOKENS), nn.Linear(TOKENS, TOKENS)
        if not head_first:
            self.head = nn.Linear(TOKENS, TOKENS)
        self.right.weight = self.left.weight
        if head_tied:
            self.head.weight = self.embed.weight

    def forward(self, tokens):
        features = torch.tanh(self.right(torch.tanh(self.left(self.embed(tokens).mean(1)))))
        return self.head(features)


class Overwriting(nn.Module):
    """In-place operations of the user's own, one of several kinds."""

    def __init__(self, what):
        super().__init__()
        self.what = what
        self.body = nn.Linear(6, WIDTH)
        self.head = nn.Linear(WIDTH, WAYS)
        self.kept = torch.zeros(WIDTH, dtype=torch.float64)

    def forward(self, inputs):
        if self.what == "inputs":
            inputs -= 1
        if self.what == "parameters":
            with torch.no_grad():
                self.body.weight.clamp_(-0.1, 0.1)
        features = torch.sigmoid(self.body(inputs))
        if self.what == "activations":
            features += 1
        if self.what == "attributes":
            self.kept += features.mean(0)
        return self.head(features)

"""Makes folders of random weights in the exact public layout of Wan2.1 and LongLive, at a tiny size."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

LINE = "a red fox runs over the green hill into a blue night ; rain falls on roofs while Tom & Jerry 'wait' ."


def write_tokenizer(folder: Path) -> int:
    """Train a tiny tokenizer of UMT5's kind into `folder`; gives the size of its vocabulary."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    words = LINE.split()
    lines = [" ".join(words[i:] + words[:i]) for i in range(len(words))]
    marks = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(vocab_size=80, special_tokens=marks, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(lines, trainer)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    return tokenizer.get_vocab_size()

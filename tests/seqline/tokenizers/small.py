"""Small tokenizers of every supported kind, trained in a moment, and texts that are hard to tokenize."""

import io
import json
import random
from typing import Any

import sentencepiece
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from seqline.tokenizers.bpe import REGEXES

PATTERNS = {cut: pattern for pattern, cut in REGEXES.items()}
LINES = [
    "The house is small, and the garden isn't; they're happy they've moved. It's 1234 times better, I'd say we'll see.",
    "Das Haus ist klein, und der Garten ist groß. Straße, Äpfel, Öl, 12.345,67 Euro am 3. Mai 2024!",
    "Привет, мир! Как дела? 你好，世界。今天天气很好。 こんにちは世界 안녕하세요 สวัสดี नमस्ते שלום مرحبا",
    "def main():\n    print('hello')\n\n\nif x  ==  1:\treturn  None  # 😀👍🏽 👩‍👩‍👧‍👦",
    "aaaa aaaaaaaa banana bananas ananas   spaces    here \u00a0 and \u3000 there",
]
CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
WORDS = [
    "the",
    "don't",
    "it's",
    "I'LL",
    "we've",
    "They're",
    "''",
    "'S",
    "'ſx",
    "can't!!",
    "hello",
    "12",
    "3456",
    "1,234.56",
    "½",
    "²³",
    "Straße",
    "café",
    "Привет",
    "你好世界",
    "한국어",
    "ภาษาไทย",
    "हिन्दी",
    "العربية",
    "👩\u200d👩\u200d👧\u200d👦",
    "🇩🇪",
    "<|im_start|>",
    "<|endoftext|>",
    "<s>",
    "</s>",
    "<extra_id_0>",
    "<0x41>",
    "▁x",
    "foo_bar",
    "--",
    "???",
    "aaaa",
]
SPACES = " \t\n\r\u00a0\u2003\u3000\u200b\u0085\x0b\x00\u2028\u1680"
BLOCKS = [
    (0x20, 0x7E),
    (0x80, 0x24F),
    (0x300, 0x36F),
    (0x370, 0x5FF),
    (0x900, 0xE7F),
    (0x1200, 0x137F),
    (0x2000, 0x206F),
]
BLOCKS += [(0x3000, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0x10000, 0x1FFFF), (0x0, 0x1F), (0x16FF0, 0x16FFF)]


def hard_texts(number: int, seed: int = 0) -> list[str]:
    """Texts of all scripts, with emoji, odd spaces, contractions, digits and the names of special tokens."""
    rng = random.Random(seed)

    def part() -> str:
        kind = rng.random()
        if kind < 0.45:
            return rng.choice(WORDS)
        if kind < 0.6:
            return "".join(rng.choices(SPACES, k=rng.randint(1, 4)))
        if kind < 0.85:
            return "".join(chr(rng.randint(*rng.choice(BLOCKS))) for _ in range(rng.randint(1, 6)))
        return "".join(rng.choices("'!?.sStTrevmldLE \n\r0123aé", k=rng.randint(1, 10)))

    return ["".join(part() + " " * rng.randint(0, 1) for _ in range(rng.randint(0, 12))) for _ in range(number)]


def byte_level(cut: str = "gpt2", prefix: bool = False, nfc: bool = False, added: tuple[Any, ...] = ()) -> bytes:
    """The tokenizer.json of a byte-level BPE of 500 tokens."""
    library = Tokenizer(models.BPE())
    if nfc:
        library.normalizer = normalizers.NFC()
    if cut == "gpt2":
        library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    elif cut == "digits":
        library.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    else:
        library.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(PATTERNS[cut]), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
    library.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    library.train_from_iterator(LINES * 3, trainer)
    library.add_tokens(list(added))
    return library.to_str().encode()


def byte_fallback(metaspace: str = "") -> bytes:
    """The tokenizer.json of a BPE with byte fallback as of Llama 2; or with Metaspace and this prepend_scheme."""
    library = Tokenizer(models.BPE())
    steps = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    if metaspace:
        library.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=metaspace, split=metaspace != "first")
    else:
        library.normalizer = normalizers.Sequence(steps)
    ends = [decoders.Strip(" ", 1, 0)]
    library.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *ends])
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False)
    library.train_from_iterator(LINES[:2] + LINES[4:], trainer)
    whole = json.loads(library.to_str())
    model = whole["model"]
    size = len(model["vocab"])
    model["vocab"] |= {f"<0x{byte:02X}>": size + byte for byte in range(256)}
    model |= {"byte_fallback": True, "unk_token": "<unk>", "fuse_unk": True}
    begin = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    sequence = {"Sequence": {"id": "A", "type_id": 0}}
    whole["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [begin, sequence],
        "pair": [begin, sequence, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
    }
    return json.dumps(whole, ensure_ascii=False).encode()


def sentencepiece_model(**options: Any) -> bytes:
    """A SentencePiece model of about 200 pieces."""
    model = io.BytesIO()
    given = {"model_type": "unigram", "vocab_size": 160, "hard_vocab_limit": False, "minloglevel": 2, **options}
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([line for text in LINES for line in text.split("\n")] * 2), model_writer=model, **given
    )
    return model.getvalue()


def settings(**tokens: Any) -> bytes:
    """A tokenizer_config.json."""
    return json.dumps(tokens).encode()


def chat_files(cut: str = "digits", **more: Any) -> dict[str, bytes]:
    """A checkpoint's files as of SmolLM2: pad and end are the same token."""
    config = settings(eos_token="<|im_end|>", pad_token="<|im_end|>", chat_template=CHAT, **more)
    return {"tokenizer.json": byte_level(cut), "tokenizer_config.json": config}


def llama_files() -> dict[str, bytes]:
    """A checkpoint's files as of Llama 2, with tokenizer.json."""
    config = settings(bos_token={"content": "<s>"}, eos_token="</s>", unk_token="<unk>")
    return {"tokenizer.json": byte_fallback(), "tokenizer_config.json": config}


def t5_files() -> dict[str, bytes]:
    """A checkpoint's files as of T5: pad 0, end 1, and 100 ids behind the model's pieces."""
    model = sentencepiece_model(pad_id=0, eos_id=1, unk_id=2, bos_id=-1)
    config = settings(eos_token="</s>", pad_token="<pad>", unk_token="<unk>", extra_ids=100)
    return {"spiece.model": model, "tokenizer_config.json": config}


def marian_files() -> dict[str, bytes]:
    """A checkpoint's files as of OPUS-MT: two models, a table of ids, the end first and the padding last."""
    models_ = [sentencepiece_model(vocab_size=150), sentencepiece_model(vocab_size=120, model_type="bpe")]
    pieces: dict[str, None] = {}
    for model in models_:
        found = sentencepiece.SentencePieceProcessor(model_proto=model)
        pieces |= dict.fromkeys(found.id_to_piece(id_) for id_ in range(3, found.vocab_size()))
    names = ["</s>", "<unk>", *sorted(pieces, reverse=True), ">>de<<", ">>fr<<", "<pad>"]
    vocabulary = json.dumps({name: number for number, name in enumerate(names)}).encode()
    return {"source.spm": models_[0], "target.spm": models_[1], "vocab.json": vocabulary}


def llama_model_files() -> dict[str, bytes]:
    """A checkpoint's files as of Llama 2, with tokenizer.model."""
    model = sentencepiece_model(
        model_type="bpe",
        vocab_size=420,
        byte_fallback=True,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        split_digits=True,
    )
    return {"tokenizer.model": model, "tokenizer_config.json": settings(bos_token="<s>", eos_token="</s>")}

"""Words that may not be asked for are found however they are written, and nothing else is."""

from __future__ import annotations

import time

import pytest

from sidecar.comfyui.workflow_reader import Place, Written
from sidecar.rules.content import ContentDefinition, ContentRule, applies, content_faults, hits

WAYS_OF_WRITING_IT = [
    "a bomb",
    "A BOMB!",
    "bomb",
    "two,bomb,three",
    "ｂｏｍｂ",  # wide
    "𝓫𝓸𝓶𝓫",  # mathematical
    "bömb",
    "b\u0336o\u0336m\u0336b\u0336",  # struck through
    "bo\u200bm\u00adb",  # with what takes up no room
    "\u202ebomb\u202c",  # with a change of direction
    "bоmb",  # a Cyrillic o
    "bοmb",  # a Greek o
    "b0mb",
    "8omb",
    "b o m b",
    "b.o.m.b",
    "b - o - m - b",
    "b_o_m_b",
    "bo-mb",
    "bo_mb",
    "bo(mb:1.2)",
    "b((o))mb",
    r"bo\(mb",
    "boooomb",
    "b 0 m b",
    "b0-mb",
    "🅑🅞🅜🅑",  # white on black
    "🅱🅾🅼🅱",
    "🇧🇴🇲🇧",  # as flags are written
    "ʙᴏᴍʙ",  # small capitals
    "ƀøɱɓ",  # with strokes and hooks
    "bo\u3164mb",  # with letters and signs that show nothing
    "bo\u2800mb",
    "bo\x00mb",
    "bo\ue000mb",
    "6omb",
    "bo/mb",
    "bo|mb",
    'bo"mb',
    "bo\\mb",
    "bo++mb",
    "bo#mb",
]


@pytest.mark.parametrize("text", WAYS_OF_WRITING_IT)
def test_a_word_is_found_however_it_is_written(text):
    """Unicode's other letters, look-alikes, digits for letters, gaps, emphasis and letters drawn out change nothing."""
    assert looking_for("bomb").is_hit_by(text)


INNOCENT = [
    "a boom, a bom, and bombay",
    "bombs",  # a word is a word: who wants its forms writes bomb*
    "the comb of a bee",
    "b, o, m, and b are letters",
    "a classic assessment of grass, glass, brass and bass",
    "Scunthorpe, Penistone and Lightwater",
    "a therapist and an analyst at a cocktail party",
    "grapes, drapes and a skyscraper",
    "shiitake mushrooms, Essex, Sussex, Middlesex",
    "pen, island; as soon as possible",
    "an 8k photo, 4k, 1girl, f1.8, (50mm:1.2), ISO 100",
    "masterpiece, (best quality:1.4), [sketch], {red|blue} hat, <lora:fine_art:0.8>",
    "arsenal, cumulus, document, title, therapists",
    "Bücher, Straße, naïve café, señor, 東京, Привет",
    "black/white photo, his/her coat, R&B, AT&T, C++, C#, https://example.com/a/b?c=d&e=f#g",
    "score_9, score_8_up, embedding:easynegative, <b>bold</b>, width=512, C:\\Users\\me",
    "død, søster, København, Łódź, żółw, Đà Nẵng, İstanbul, ışık",
    "🇩🇪 🇺🇸 🇸🇪, 🅰️ 🅱️ 🆗, ①②③",
    "route 66, R2D2, C3PO, f/1.8, 1/250 s, 16:9, 8008 Main St",
    "peacock, hancock, Dickens, Hitchcock, titan, titmouse, constitution, sextant",
    "circumference, accumulate, canal, banal, parsley, coarse, Clitheroe, Lightwater",
]


@pytest.mark.parametrize("text", INNOCENT)
def test_innocent_texts_pass(text):
    """What only holds, or resembles, a word that may not be used is no reason to refuse anybody."""
    rule = looking_for("bomb", "ass", "rape", "tit", "cock", "sex", "penis", "anal", "cunt", "cum", "arse", "shit")

    assert not rule.is_hit_by(text)


def test_phrases_are_found_across_gaps_of_every_kind():
    """Between the words of a phrase there may stand whatever is no word."""
    rule = looking_for("blow up the school")

    assert rule.is_hit_by("Blow up -- the\n\tSCHOOL.")
    assert rule.is_hit_by("blowup the school")
    assert not rule.is_hit_by("blow up the old school")


def test_a_star_stands_for_the_rest_of_a_word():
    """`bomb*` finds its forms, `*bomb` what it is joined to."""
    assert looking_for("bomb*").is_hit_by("three bombers")
    assert looking_for("*bomb").is_hit_by("a firebomb")
    assert not looking_for("bomb*").is_hit_by("a firebomb")


def test_words_of_other_scripts_are_found_in_capitals_too():
    """Look-alikes must not part a word from its own capitals."""
    assert looking_for("бомба").is_hit_by("БОМБА")
    assert looking_for("爆弾").is_hit_by("爆弾, 東京")


def test_patterns_are_looked_for_in_what_was_written_and_in_how_it_reads():
    """An expression sees digits and signs as they stand, and a word that somebody hid."""
    assert ruled_by(r"\b\d{3}-\d{2}-\d{4}\b").is_hit_by("my number is 123-45-6789")
    assert ruled_by(r"how to .* bomb").is_hit_by("how to make a b0mb")


def test_no_pattern_can_hold_up_admission():
    """An expression over which other engines think for years is answered in the time that it takes to read the text."""
    rule = ruled_by("(a+)+$")
    text = "a" * 100_000 + "!"
    started = time.process_time()

    assert not rule.is_hit_by(text)
    assert time.process_time() - started < 5  # not a matter of speed: another engine would not end


@pytest.mark.parametrize("piece", ["a ", "a.b", "(", ":1", "1", "a \t", ": ", "1 "])
def test_no_text_can_hold_up_admission(piece):
    """Reading a text takes no longer than it is long, whatever it is made of."""
    text = piece * 20_000
    started = time.process_time()

    looking_for("bomb").is_hit_by(text)

    assert time.process_time() - started < 5


def test_negative_prompts_are_looked_at_by_rules_of_their_own():
    """Who writes `bomb` into a negative prompt does not want one."""
    wanted, unwanted = written("a bomb"), written("a bomb", is_negative=True)
    rules = {where: ContentRule(ContentDefinition(words=("bomb",), where=where)) for where in ("prompt", "negative")}
    both = ContentRule(ContentDefinition(words=("bomb",), where="both"))

    assert hits([rules["prompt"]], [wanted, unwanted]) == [(rules["prompt"], wanted)]
    assert hits([rules["negative"]], [wanted, unwanted]) == [(rules["negative"], unwanted)]
    assert hits([both], [wanted, unwanted]) == [(both, wanted), (both, unwanted)]


def test_the_more_sensitive_somebody_is_the_more_rules_apply():
    """`off` knows no rule, `high` all of them."""
    table = {
        sensitivity: [level for level in ("low", "medium", "high") if applies(level, sensitivity)]
        for sensitivity in ("off", "low", "medium", "high")
    }

    assert table == {"off": [], "low": ["low"], "medium": ["low", "medium"], "high": ["low", "medium", "high"]}


def test_whatever_can_find_nothing_or_everything_is_told_field_by_field():
    """An administrator learns all that is wrong with a rule at once, and in words."""
    definition = ContentDefinition(words=("fine", "*", "--"), patterns=("(?=a)", "a*", "fine"))

    faults = content_faults(definition)

    assert [fault.field for fault in faults] == ["words[1]", "words[2]", "patterns[0]", "patterns[1]"]
    assert "RE2" in faults[2].message
    assert [fault.field for fault in content_faults(ContentDefinition())] == ["words"]


def looking_for(*words: str) -> ContentRule:
    return ContentRule(ContentDefinition(words=words))


def ruled_by(*patterns: str) -> ContentRule:
    return ContentRule(ContentDefinition(patterns=patterns))


def written(text: str, *, is_negative: bool = False) -> Written:
    return Written(text, Place("6", "text"), is_negative=is_negative)

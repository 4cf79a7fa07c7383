"""One conversation with every ugliness in it, so that none depends on chance."""

from tests.support.generated.conversation import (
    Assistant,
    Call,
    Conversation,
    File,
    Instruction,
    Picture,
    Result,
    Step,
    Tool,
    User,
    Words,
)
from tests.support.generated.pictures import PDF, noise, png
from tests.support.generated.strategies import ROOT_UNIONS, UNREADABLE

DOT = Picture("image/png", png(128))
WIDE = Picture("image/png", noise(2001, 20))
LARGE = Picture("image/png", noise(1600, 1000))
PROPERTIES = (
    '{"type":"object","properties":{"$top":{"type":"integer"},"a b":{},"ünï":{},"__proto__":{"type":"string"},"%s":{},"":{},'
    '"b":{"maximum":9223372036854775807},"10":{},"2":{"default":1.0}},"required":["ünï","b",""]}'
)
TOOLS = (
    Tool("odd properties", "One.", PROPERTIES % ("n" * 70)),
    *(Tool(f"union_{at}", f"Union {at}.", union) for at, union in enumerate(ROOT_UNIONS)),
)
INPUTS = [
    '{"id":2512292042121000001,"one":1.0,"10":"a","2":"b"}',
    '{"$top":1,"":"x","a b":[1.5,-0,1e2,{"__proto__":{"$top":2}}],"ünï":"\\u00fc\\n","b":9007199254740993}',
    '{"a":"x","$b":12345678901234567890.5}',
    *UNREADABLE,
]
NAMES = ["get_weather", "odd properties", "union_0"]


def build_round(number: int, arguments: str) -> list[Step]:
    """A round whose call has the same id as every other's."""
    call = Call("call_0", NAMES[number % len(NAMES)], arguments)
    contents = (f"r{number}", (Words("a"), LARGE, Words("b")), "", None, (), " \n", (WIDE,))
    result = Result(call, contents[number % len(contents)], is_error=number % 3 == 1)
    after = (Words("Wait."),) if number % 2 else ()
    said: list[Step] = [result, User(f"q{number}")]
    return [Assistant((Words(f"t{number}"), call, *after)), *(reversed(said) if number % 4 == 2 else said)]


CALLS = (
    Call("call:été/1 | {x}", "union_1", '{"a":1}'),
    Call("x" * 200, "ünï tool", "{}"),
    Call("call_0", "Read", "{}"),
)
EDGE_CASES = Conversation(
    system=("Be kind.", " Answer in\n ünï. "),
    steps=(
        User((Words("look: "), WIDE, LARGE, Words(" \n"), File("application/pdf", PDF, "p.pdf"), DOT, Words("…"))),
        Assistant((Words("Hm."),)),
        Instruction("Be brief."),
        User("two"),
        User((Words("in a row"), File("text/plain", "naïve\r\n".encode(), "n.txt"))),
        Instruction("Be brief again."),
        *(step for number, arguments in enumerate(INPUTS) for step in build_round(number, arguments)),
        Assistant((CALLS[0], Words("and"), CALLS[1], CALLS[2], Words("at last"))),
        Result(CALLS[2], "third"),
        Result(CALLS[0], (WIDE,), is_error=True),
        Instruction("Go on."),
        Result(CALLS[1], (Words("second"), DOT)),
        User("the end?\n\n"),
    ),
    tools=TOOLS,
)

"""What lines of a file are prose, define something, or call something, in five languages."""

import pytest

from vicinal_indexer.symbols import outline

SOURCES = {
    "python": '''class Ledger(Base):
    """Says open_account(1)."""
    def enter(self, row):
        # calls nothing(1)
        return self.book.find(row).close(Receipt(1))
total = sum_all("""text
with call(1)
""")
''',
    "typescript": """export class Ledger { enter(row: Row) {
  // calls nothing(1)
  return this.book.find(row).close(new Receipt(1)); } }
export const total = (a: number) => sum_all(a);
interface Row { size(): number }
""",
    "go": """package shop
type Ledger struct { Book int }
// calls nothing(1)
func (l *Ledger) enter(row int) int {
	return l.book.find(row).close(Receipt(1))
}
func total() int { return sum_all(2) }
""",
    "rust": """struct Ledger { book: u8 }
impl Ledger {
    // calls nothing(1)
    fn enter(&self, row: u8) -> u8 { self.book.find(row).close(Receipt::new(1)) }
}
fn total() -> u8 { sum_all::<u8>(1) }
""",
    "java": """class Ledger {
  // calls nothing(1)
  int enter(int row) { return book.find(row).close(new Receipt(1)); }
  static int total() { return sum_all(1); }
}
""",
}


@pytest.mark.parametrize("language", SOURCES)
def test_definitions_and_calls_in_every_language(language: str) -> None:
    told = outline(SOURCES[language], language)
    assert told is not None
    defined = {named.name for named in told.definitions}
    assert {"Ledger", "enter"} <= defined
    called = {named.name for named in told.calls}
    assert {"find", "close", "sum_all"} <= called
    assert ("new" if language == "rust" else "Receipt") in called
    assert "nothing" not in called


@pytest.mark.parametrize("language", SOURCES)
def test_comments_are_prose(language: str) -> None:
    told = outline(SOURCES[language], language)
    assert told is not None
    lines = SOURCES[language].split("\n")
    comment = next(number for number, line in enumerate(lines, start=1) if "nothing(1)" in line)
    assert comment in told.prose
    assert all(number not in told.prose for number, line in enumerate(lines, start=1) if "enter" in line)


def test_documentation_and_the_inside_of_strings_are_prose() -> None:
    told = outline(SOURCES["python"], "python")
    assert told is not None
    assert told.prose == {2, 4, 7, 8}


def test_what_is_no_program_has_no_outline() -> None:
    assert outline("# Title\n", "markdown") is None
    assert outline("x = 1\n", "") is None
    broken = outline("def f(:\n    return g(1)\n", "python")
    assert broken is not None

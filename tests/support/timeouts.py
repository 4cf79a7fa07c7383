"""How long anything in a test is waited for, and how long the API's event loop may be held."""

# Seconds. A bound against hanging and nothing else, so it is generous: a busy machine may be many times slower, and no
# test passes or fails by how fast something is (`make bench` measures that). What a test shows not to be waited for,
# such as a grace period or a command's end, takes longer than this. Below pytest's own `timeout`, which tells less.
TEST_TIMEOUT = 120
# The longest that a callback may hold the event loop, and that a bystander may wait, in seconds.
MAX_STALL = 0.25

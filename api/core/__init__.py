"""Types that every layer of the API uses: problems, callers, keys and scopes."""

"""Where rows come from: tables, formulas and files; each becomes a source of blocks."""

//! Text to definition and back: encodings, a spanned tree, diagnostics, the table of words, the XSD. No file access.

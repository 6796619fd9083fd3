"""bcc's C dialect: a lexical front half that turns it into plain C for clang, line for line."""

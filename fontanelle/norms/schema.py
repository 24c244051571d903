"""The published JSON Schema of reference files, made of the models that validate them.

`reference.schema.json` beside this module is what is published; a test holds it to the models.
"""

import json
from importlib.resources import files

from fontanelle.norms.document import SCHEMA, ReferenceDocument

FILE = "reference.schema.json"


def made() -> str:
    """Return the schema's text as the models give it."""
    schema = ReferenceDocument.model_json_schema(by_alias=True)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": SCHEMA}
    return json.dumps({**schema, **head}, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def published() -> str:
    """Return the schema's text as it comes with the product."""
    return (files("fontanelle.norms") / FILE).read_text(encoding="utf-8")

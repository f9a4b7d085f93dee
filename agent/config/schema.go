package config

import _ "embed"

//go:embed schema.json
var schema []byte

// Schema returns the JSON Schema (draft 2020-12) of a configuration file, for
// editors: what they can tell while it is written. Load tells the rest.
func Schema() []byte { return append([]byte(nil), schema...) }

"""canonical record → topic, key and Avro bytes in the Confluent wire format; and the schema registry."""

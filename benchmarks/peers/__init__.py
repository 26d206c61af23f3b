"""The same work by other stream libraries: read raw topics, decode, map, encode changes, produce them."""

"""The bundled world and worlds trained like it."""

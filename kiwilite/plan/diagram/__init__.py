"""Pictures of a description: profiles, packages, storage; as data, as text and as SVG."""

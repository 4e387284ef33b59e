"""What several tests share: fakes that pass the ports' contract suites, photos, paths."""

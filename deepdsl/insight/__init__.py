"""What a person wants to see: probes, reports, charts, drawings, summaries, help pages."""

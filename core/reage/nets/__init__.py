"""Networks: pure modules, one file a family; torch and nothing of ours."""

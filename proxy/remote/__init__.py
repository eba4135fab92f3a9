"""Other people's machines, over HTTP and S3: how they fail, and how patiently they are asked."""

"""netprobe: is the fabric fit for a training job, and if not, what is to be fixed first?"""

__version__ = "0.1.0"

"""What runs on workers: plain functions, and the one module that puts Parsl on them."""

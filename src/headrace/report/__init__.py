"""What a person looks at: the HTML report of a run, and the graph as a picture or as text. Plain values in, text out."""
